"""Masakari: high availability for the instances of an OpenStack cloud."""
