"""Request lines and where log lines go."""
