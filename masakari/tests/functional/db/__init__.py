"""The tests of unit/db that matter for a server, again on MariaDB, and what only a server has."""
