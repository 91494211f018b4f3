"""Addresses, listeners, streams and the accepting server."""
