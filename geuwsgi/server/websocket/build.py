"""From the section of the settings to the websockets of a worker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from geuwsgi.server.websocket.registry import WebSockets
from geuwsgi.server.websocket.settings import WebSocketSettings

if TYPE_CHECKING:
    from geuwsgi.options.websockets import Websockets


def build_websockets(options: Websockets) -> WebSockets:
    """Return what looks after the websockets of one worker."""
    deflate = None
    if options.websocket_deflate:
        from geuwsgi.protocol.websocket_deflate import DeflateSettings

        deflate = DeflateSettings(
            window_bits=options.websocket_deflate_bits,
            memory_level=options.websocket_deflate_memory,
            level=options.websocket_deflate_level,
            context_takeover=options.websocket_deflate_takeover,
            threshold=options.websocket_deflate_threshold,
        )
    return WebSockets(
        WebSocketSettings(
            max_size=options.websocket_max_size,
            ping_after=math.ceil(options.websocket_ping_freq),
            pong_within=max(1, math.ceil(options.websocket_pong_tolerance)),
            close_within=math.ceil(options.websocket_close_timeout),
            drain_jitter=options.websocket_drain_jitter,
            deflate=deflate,
        )
    )
