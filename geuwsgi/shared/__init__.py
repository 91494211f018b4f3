"""Memory that outlives a fork."""
