"""Websockets and chunked input."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, KIB, SECONDS


class Websockets(Section):
    """Websockets and chunked input."""

    chunked_input_limit: int = option(
        "largest chunk accepted by chunked input (default 1 MB)",
        BYTES,
        default=1048576,
        at_least=0,
    )
    chunked_input_timeout: float = option(
        "timeout used by chunked reads", SECONDS, at_least=0
    )
    websocket_max_size: int = option(
        "largest message in KB (default 1024)",
        KIB,
        default=1048576,
        aliases=("websockets-max-size",),
        at_least=0,
    )
    websocket_ping_freq: float = option(
        "automatic ping period (default 30)",
        SECONDS,
        default=30.0,
        aliases=("websockets-ping-freq",),
        at_least=0,
    )
    websocket_pong_tolerance: float = option(
        "seconds to wait for a pong (default 3)",
        SECONDS,
        default=3.0,
        aliases=("websockets-pong-tolerance",),
        at_least=0,
    )
