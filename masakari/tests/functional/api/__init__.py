"""masakari-api as processes, in front of real servers."""
