"""Files answered without the application."""
