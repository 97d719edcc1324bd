"""Requests, what OpenStack's Masakari answered to them, and a player that compares.

python -m masakari.tests.conformance --url http://127.0.0.1:15868 --sim http://127.0.0.1:21080
"""
