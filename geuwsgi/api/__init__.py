"""The module applications import as uwsgi."""
