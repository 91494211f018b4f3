"""A gevent application server that runs uWSGI configurations unchanged."""

from __future__ import annotations

__version__ = "0.1.0"
