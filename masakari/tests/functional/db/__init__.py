"""The tests of unit/db that matter for a server, on each of them, and what only a server has."""
