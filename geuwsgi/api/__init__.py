"""The module applications import as ``uwsgi``.

It exists only inside the server: applications and libraries take a failing import for
"not under uWSGI". ``install`` makes it, from the functions of the modules beside this
one, each of which sets its own with a function ``install(module, context)``.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from geuwsgi.api import (
    basic,
    cache,
    channels,
    descriptors,
    extras,
    locks,
    metrics,
    mules,
    queue,
    request,
    rpc,
    sharedarea,
    signals,
    spooler,
    websocket,
)
from geuwsgi.api.alias import DecoratorsFinder
from geuwsgi.api.context import ApiContext
from geuwsgi.server.context import current_exchange

__all__ = ["ApiContext", "UwsgiModule", "install"]


_PARTS = (
    basic,
    request,
    descriptors,
    websocket,
    cache,
    locks,
    queue,
    sharedarea,
    signals,
    mules,
    spooler,
    rpc,
    metrics,
    channels,
    extras,
)


class UwsgiModule(ModuleType):
    """``uwsgi``: a module whose ``env`` is the running request's environ."""

    @property
    def env(self) -> dict[str, Any]:
        exchange = current_exchange()
        if exchange is None:
            raise AttributeError("module 'uwsgi' has no attribute 'env'")
        return exchange.environ

    @property
    def start_response(self) -> Any:
        exchange = current_exchange()
        if exchange is None:
            raise AttributeError("module 'uwsgi' has no attribute 'start_response'")
        return exchange.start_response


def install(context: ApiContext) -> UwsgiModule:
    """Make the module and put it where ``import uwsgi`` finds it."""
    module = UwsgiModule("uwsgi", "The API of the server this process belongs to.")
    module.__spec__ = ModuleSpec("uwsgi", None, origin="geuwsgi")
    for part in _PARTS:
        part.install(module, context)
    sys.modules["uwsgi"] = module
    if not any(isinstance(finder, DecoratorsFinder) for finder in sys.meta_path):
        # Last: an application's own copy comes first.
        sys.meta_path.append(DecoratorsFinder())
    return module
