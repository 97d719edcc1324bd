"""Clients as people use them, against real API and engine processes and a token from Keystone."""
