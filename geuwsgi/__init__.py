"""A gevent application server that runs uWSGI configurations unchanged."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"


def channel(name: str | bytes) -> Any:
    """Return the channel of that name: what one process publishes, all may hear.

    A ``geuwsgi.background.channels.Channel``. Only in a process of the server;
    elsewhere ImportError, as for ``import uwsgi``.
    """
    return importlib.import_module("uwsgi").channel(name)
