"""Hostile peers and broken surroundings, met by a running server."""
