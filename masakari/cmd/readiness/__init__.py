"""What `masakari-status upgrade check` and `masakari-manage check` look at; nothing is changed."""
