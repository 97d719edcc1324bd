"""Recoveries on a real Nova, by real processes; see tools/realcloud."""
