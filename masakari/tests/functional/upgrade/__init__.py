"""Databases and messages of OpenStack's Masakari, and what becomes of them."""
