"""What each function of masakari.db promises, on SQLite; functional/db runs it on the servers."""
