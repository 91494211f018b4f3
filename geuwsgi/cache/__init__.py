"""The in-memory cache shared by prefork workers."""
