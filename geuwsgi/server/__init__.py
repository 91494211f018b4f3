"""One connection's life and one exchange's life."""
