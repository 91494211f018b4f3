"""The application that `geuwsgi.testing.traffic` talks to.

It is copied beside a site's configuration and needs nothing of geuwsgi. Its version is
what the file ``version`` beside it says when it is imported.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("version")
VERSION = _FILE.read_text().strip() if _FILE.exists() else "none"
STREAM_PIECES = 20
PIECE = b"0123456789abcdef" * 64


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/socket":
        return _echo(environ)
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return _stream(float(environ["QUERY_STRING"]))
    if path == "/upload":
        body = _received(environ["wsgi.input"])
    else:
        if path == "/poll":
            time.sleep(float(environ["QUERY_STRING"]))
        elif path == "/reload":
            import uwsgi

            uwsgi.reload()
        body = f"{VERSION} {os.getpid()}".encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def _received(body: Any) -> bytes:
    length = 0
    while piece := body.read(65536):
        length += len(piece)
    return str(length).encode()


def _stream(seconds: float) -> Iterator[bytes]:
    for _ in range(STREAM_PIECES):
        time.sleep(seconds / STREAM_PIECES)
        yield PIECE


def _echo(environ: dict[str, Any]) -> Iterable[bytes]:
    import uwsgi

    uwsgi.websocket_handshake(
        environ["HTTP_SEC_WEBSOCKET_KEY"], environ.get("HTTP_ORIGIN", "")
    )
    while True:
        try:
            uwsgi.websocket_send(uwsgi.websocket_recv())
        except OSError:
            return []
