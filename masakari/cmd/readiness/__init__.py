"""What `masakari-status upgrade check` looks at; nothing is changed by it."""
