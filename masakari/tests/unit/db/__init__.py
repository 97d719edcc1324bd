"""What each function of masakari.db promises, on SQLite; functional/db runs the same on MariaDB."""
