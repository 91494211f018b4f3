"""Everything that has to do with time, by path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gevent
import uwsgi

DIRECTORY = Path(__file__).parent


def note(arguments: dict[Any, bytes]) -> int:
    with open(DIRECTORY / "spooled", "ab") as file:
        file.write(arguments[b"name"] + b"\n")
    return int(uwsgi.SPOOL_OK)


def tick(_: int) -> None:
    with open(DIRECTORY / "ticks", "a") as file:
        file.write("t")


uwsgi.spooler = note
uwsgi.register_signal(7, "", tick)
uwsgi.add_timer(7, 1)


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = b"done"
    if path == "/remember":
        uwsgi.cache_update("ever", b"1")
        uwsgi.cache_update("hour", b"1", 3600)
    elif path == "/remembered":
        known = [name for name in ("ever", "hour") if uwsgi.cache_exists(name)]
        body = " ".join(known).encode()
    elif path == "/sleep":
        gevent.sleep(float(query))
    elif path == "/spool":
        uwsgi.spool({b"name": query.encode()})
    elif path == "/pid":
        body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
