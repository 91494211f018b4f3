"""Everything that sites do, by path, for a load that mixes it."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from typing import Any

import gevent
import uwsgi
from greenlet import greenlet


def _chunks() -> Iterator[bytes]:
    for _ in range(5):
        gevent.sleep(0.002)
        yield b"x" * 1000


def _census() -> bytes:
    """What this worker holds: the greenlets that have begun and not ended."""
    gc.collect()
    held = gc.get_objects()
    greenlets = sum(1 for one in held if isinstance(one, greenlet) and bool(one))
    return json.dumps(
        {"pid": os.getpid(), "greenlets": greenlets, "objects": len(held)}
    ).encode()


def _cached(environ: dict[str, Any]) -> bytes:
    key = environ["QUERY_STRING"] or "key"
    value: bytes | None = uwsgi.cache_get(key)
    if value is None:
        uwsgi.cache_update(key, b"v" * 100, 1)
    return b"done"


def _echo() -> None:
    uwsgi.websocket_handshake()
    while True:
        uwsgi.websocket_send(uwsgi.websocket_recv())


def application(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    if path == "/socket":
        try:
            _echo()
        except OSError:
            return []
    if path == "/error":
        raise ValueError("asked to")
    body: Any = [b"done"]
    if path == "/census":
        body = [_census()]
    elif path == "/pid":
        body = [str(os.getpid()).encode()]
    elif path == "/form":
        body = [b"%d" % len(environ["wsgi.input"].read())]
    elif path == "/stream":
        body = _chunks()
    elif path == "/poll":
        gevent.sleep(0.3)
    elif path == "/file":
        body = environ["wsgi.file_wrapper"](open(__file__, "rb"), 4096)  # noqa: SIM115
    elif path == "/cached":
        body = [_cached(environ)]
    elif path == "/big":
        body = [b"x" * 3_000_000]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return body
