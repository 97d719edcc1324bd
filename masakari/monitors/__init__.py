"""The monitors: they look, decide, and tell Masakari over its API."""
