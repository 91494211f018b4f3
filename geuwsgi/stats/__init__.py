"""Snapshots of the running instance for people and programs."""
