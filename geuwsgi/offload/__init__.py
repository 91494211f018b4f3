"""Files and relays sent without holding a core."""
