"""Taking the listening sockets of another instance (uWSGI: zerg)."""

from __future__ import annotations

import os
from collections.abc import Callable

from geuwsgi.errors import StartupError
from geuwsgi.net.inherited import InheritedSocket
from geuwsgi.net.listener import Listener
from geuwsgi.net.zerg import take_sockets
from geuwsgi.options import Settings


def take_zerg_sockets(
    settings: Settings, log: Callable[[str], None]
) -> list[InheritedSocket]:
    """The sockets of the zerg servers that ``settings`` name.

    Raises StartupError, unless zerg-fallback lets the instance go on without.
    """
    options = settings.subscription
    taken: list[InheritedSocket] = []
    try:
        for path in options.zerg:
            taken += take_sockets(path)
    except StartupError as exc:
        for passed in taken:
            os.close(passed.fd)
        if not options.zerg_fallback:
            raise
        log(f"{exc}; going on without (zerg-fallback)")
        return []
    return taken


def without_doubles(listeners: list[Listener]) -> list[Listener]:
    """Close the listeners that have the name of an earlier one; return the others.

    A site that names its addresses for zerg-fallback has them already at a reload,
    when the zerg server gives them once more.
    """
    kept: dict[str, Listener] = {}
    for listener in listeners:
        if kept.setdefault(listener.name, listener) is not listener:
            listener.close()
    return list(kept.values())
