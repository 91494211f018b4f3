"""Websockets and chunked input."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, KIB, SECONDS


class Websockets(Section):
    """Websockets and chunked input."""

    chunked_input_limit: int = option(
        "allow chunks of request bodies of up to this many bytes",
        BYTES,
        default=1048576,
        at_least=0,
    )
    chunked_input_timeout: float = option(
        "wait this many seconds for a chunk", SECONDS, at_least=0
    )
    websocket_max_size: int = option(
        "allow messages of up to this many KB",
        KIB,
        default=1048576,
        aliases=("websockets-max-size",),
        at_least=0,
    )
    websocket_ping_freq: float = option(
        "ping a silent websocket every this many seconds",
        SECONDS,
        default=30.0,
        aliases=("websockets-ping-freq",),
        at_least=0,
    )
    websocket_pong_tolerance: float = option(
        "wait this many seconds for the answer to a ping",
        SECONDS,
        default=3.0,
        aliases=("websockets-pong-tolerance",),
        at_least=0,
    )
