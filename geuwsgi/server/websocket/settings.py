"""What an administrator decides about websockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geuwsgi.protocol.websocket_deflate import DeflateSettings


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """What holds for all websockets of a worker. Times are whole seconds.

    A silent peer is pinged after ``ping_after`` seconds (0: never) and given up
    ``pong_within`` seconds later. ``deflate`` is None where compression is off.
    """

    max_size: int = 1 << 20
    ping_after: int = 30
    pong_within: int = 3
    close_within: int = 5
    write_timeout: float = 30.0
    drain_jitter: float = 0.0
    deflate: DeflateSettings | None = None
