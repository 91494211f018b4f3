"""Websockets and chunked input."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, KIB, SECONDS


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
        default=10.0,
        aliases=("websockets-pong-tolerance",),
        at_least=0,
        differs="10 seconds by default, and whatever the client sends counts",
    )
    websocket_close_timeout: float = option(
        "wait this many seconds for the answer to a close frame",
        SECONDS,
        default=5.0,
        at_least=1,
        since="geuwsgi",
    )
    websocket_drain_jitter: float = option(
        "spread the end of websockets over this many seconds at a reload or stop",
        SECONDS,
        default=1.0,
        at_least=0,
        since="geuwsgi",
    )
    websocket_deflate: bool = option(
        "compress messages if the client can (permessage-deflate)",
        FLAG,
        aliases=("websockets-deflate",),
        since="geuwsgi",
    )
    websocket_deflate_threshold: int = option(
        "compress messages from this many bytes on",
        BYTES,
        default=256,
        at_least=0,
        since="geuwsgi",
    )
    websocket_deflate_takeover: bool = option(
        "keep the compression context between messages: smaller, but see the memory",
        FLAG,
        since="geuwsgi",
    )
    websocket_deflate_bits: int = option(
        "compress with windows of two to the power of this many bytes",
        INT,
        default=12,
        at_least=9,
        at_most=15,
        since="geuwsgi",
    )
    websocket_deflate_memory: int = option(
        "give the compressor this much memory, from 1 to 9",
        INT,
        default=5,
        at_least=1,
        at_most=9,
        since="geuwsgi",
    )
    websocket_deflate_level: int = option(
        "compress this hard, from 1 to 9",
        INT,
        default=6,
        at_least=1,
        at_most=9,
        since="geuwsgi",
    )
