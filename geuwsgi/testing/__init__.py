"""Helpers for tests, the users' included."""
