"""Which request a piece of code runs for.

The server's greenlets carry their exchange as an attribute. Greenlets that the
application spawns from a request, and their children, belong to it too: gevent
keeps the chain of who spawned whom.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from greenlet import getcurrent, greenlet

F = TypeVar("F", bound=Callable[..., object])

try:
    from geuwsgi.server._smallstack import on_small_stack
except ImportError:

    def on_small_stack(run: F) -> F:
        return run


if TYPE_CHECKING:
    from geuwsgi.server.exchange import Exchange

_MAX_DEPTH = 64


__all__ = ["ConnectionGreenlet", "current_exchange", "on_small_stack"]


class ConnectionGreenlet(greenlet):
    """The greenlet of a connection; ``exchange`` is the request it serves now."""

    __slots__ = ("exchange",)

    exchange: Exchange | None


def current_exchange() -> Exchange | None:
    """Return the exchange that the running greenlet works for, or None.

    None outside a request, in greenlets that no request spawned, and in children
    whose parents are gone.
    """
    current: object = getcurrent()
    for _ in range(_MAX_DEPTH):
        if type(current) is ConnectionGreenlet:
            return current.exchange
        reference = getattr(current, "spawning_greenlet", None)
        if reference is None:
            return None
        current = reference()
    return None
