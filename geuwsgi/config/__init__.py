"""Text to settings: sources, dialect, kinds of values, resolution."""
