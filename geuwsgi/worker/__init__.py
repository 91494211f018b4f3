"""A child's life: privileges, hub, load, serve, drain."""
