"""What ACME does besides, when Masakari recovers from a failure."""
