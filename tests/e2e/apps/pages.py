"""What the end-to-end tests ask a server for; wrapped in `wsgiref.validate`.

``application`` is the validated site, ``bare`` the same without the validator, which
hides ``wsgi.file_wrapper`` and refuses environs that real uWSGI makes.
"""

from __future__ import annotations

import io
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from wsgiref.validate import validator

import gevent
import gevent.event

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Page = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]

PLAIN = [("Content-Type", "text/plain")]


def plain(start_response: StartResponse, body: bytes) -> list[bytes]:
    start_response("200 OK", [*PLAIN, ("Content-Length", str(len(body)))])
    return [body]


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return plain(start_response, b"hello")


def pid(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return plain(start_response, str(os.getpid()).encode())


def show_environ(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Strings as they are, everything else by type and value."""
    shown = {
        name: value if isinstance(value, str) else f"{type(value).__name__} {value!r}"
        for name, value in environ.items()
    }
    return plain(start_response, json.dumps(shown).encode())


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The body back, read to its end whatever the length says."""
    pieces = []
    while piece := environ["wsgi.input"].read(8192):
        pieces.append(piece)
    return plain(start_response, b"".join(pieces))


def echo_by_length(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return plain(start_response, environ["wsgi.input"].read(length))


def lines(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"]
    read = [body.readline(), *body.readlines(), body.read(10)]
    return plain(start_response, repr(read).encode())


def ignore_body(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    return plain(start_response, b"not read")


def stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Pieces with a pause between them, length unknown."""
    start_response("200 OK", PLAIN)

    def pieces() -> Iterator[bytes]:
        for number in range(3):
            yield f"piece {number}\n".encode()
            time.sleep(0.01)

    return pieces()


def empty_pieces(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return iter([b"", b"a", b"", b"b", b""])


def no_body(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("204 No Content", [])
    return []


def not_modified(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    start_response("304 Not Modified", [("ETag", '"x"')])
    return []


def write(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    send = start_response("200 OK", PLAIN)
    send(b"written, ")
    return [b"returned"]


def twice(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The error replaces a response of which nothing has been sent."""
    start_response("200 OK", PLAIN)
    try:
        raise RuntimeError("changed my mind")
    except RuntimeError:
        start_response("503 Service Unavailable", PLAIN, sys.exc_info())
    return [b"busy"]


def error(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    raise RuntimeError("this page is broken")


def error_after_start(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    raise RuntimeError("broken before the first byte")


def error_in_body(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)

    def pieces() -> Iterator[bytes]:
        yield b"so far so good\n"
        raise RuntimeError("broken in the middle")

    return pieces()


class Closing:
    """An iterable that counts how often one was closed."""

    closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"x" * 100
        time.sleep(0.05)
        yield b"y" * 100

    def close(self) -> None:
        Closing.closed += 1


def closing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return Closing()


def closed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return plain(start_response, str(Closing.closed).encode())


def fields(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response(
        "299 Odd But Fine",
        [
            *PLAIN,
            ("Content-Length", "0"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("X-Latin", "caf\xe9"),
        ],
    )
    return []


def injection(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    start_response("200 OK", [*PLAIN, ("X-Evil", "a\r\nSet-Cookie: stolen=1")])
    return [b"never"]


def short(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Promises more than it sends."""
    start_response("200 OK", [*PLAIN, ("Content-Length", "100")])
    return [b"only this"]


def long(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Sends more than it promises."""
    start_response("200 OK", [*PLAIN, ("Content-Length", "4")])
    return [b"four and more"]


def own_file(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """This file, through the server's file wrapper."""
    size = Path(__file__).stat().st_size
    start_response("200 OK", [*PLAIN, ("Content-Length", str(size))])
    file = open(__file__, "rb")  # noqa: SIM115 - the server closes it
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file, 8192)
    return wrapped


def memory_file(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](io.BytesIO(b"memory" * 99))
    return wrapped


def big(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    size = int(parse_qs(environ["QUERY_STRING"])["size"][0])
    start_response("200 OK", [*PLAIN, ("Content-Length", str(size))])
    block = bytes(range(256)) * 256

    def blocks() -> Iterator[bytes]:
        left = size
        while left > 0:
            yield block[:left]
            left -= len(block)

    return blocks()


def complain(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    environ["wsgi.errors"].write("a complaint of the application\n")
    environ["wsgi.errors"].flush()
    return plain(start_response, b"complained")


class Waits:
    """Every way in which an application may wait for another request."""

    def __init__(self) -> None:
        self.gevent_event = gevent.event.Event()
        self.threading_event = threading.Event()
        self.thread_event = threading.Event()
        self.queue: queue.Queue[str] = queue.Queue()
        self.condition = threading.Condition()
        self.read_end, self.write_end = os.pipe()

    def wait(self, kind: str) -> Any:
        if kind == "gevent":
            return self.gevent_event.wait(10)
        if kind == "threading":
            return self.threading_event.wait(10)
        if kind == "queue":
            return self.queue.get(timeout=10)
        if kind == "condition":
            with self.condition:
                return self.condition.wait(10)
        if kind == "thread":
            waiter = threading.Thread(target=self.thread_event.wait, args=(10,))
            waiter.start()
            waiter.join()
            return True
        if kind == "sleep":
            time.sleep(0.3)
            return "slept"
        raise KeyError(kind)

    def wake(self, kind: str) -> None:
        if kind == "gevent":
            self.gevent_event.set()
        elif kind == "threading":
            self.threading_event.set()
        elif kind == "thread":
            self.thread_event.set()
        elif kind == "queue":
            self.queue.put("item")
        elif kind == "condition":
            with self.condition:
                self.condition.notify_all()


class WaitPages:
    """The waits are made at the first use: in the worker that serves them."""

    def __init__(self) -> None:
        self.waits: Waits | None = None
        self.waiting = 0

    def _waits(self) -> Waits:
        self.waits = self.waits or Waits()
        return self.waits

    def wait(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        self.waiting += 1
        try:
            result = self._waits().wait(environ["QUERY_STRING"])
        finally:
            self.waiting -= 1
        return plain(start_response, repr(result).encode())

    def wake(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        self._waits().wake(environ["QUERY_STRING"])
        return plain(start_response, b"woken")

    def count(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        return plain(start_response, str(self.waiting).encode())


waits = WaitPages()

PAGES: dict[str, Page] = {
    "/": hello,
    "/pid": pid,
    "/environ": show_environ,
    "/echo": echo,
    "/echo-by-length": echo_by_length,
    "/lines": lines,
    "/ignore-body": ignore_body,
    "/stream": stream,
    "/empty-pieces": empty_pieces,
    "/no-body": no_body,
    "/not-modified": not_modified,
    "/write": write,
    "/twice": twice,
    "/error": error,
    "/error-after-start": error_after_start,
    "/error-in-body": error_in_body,
    "/closing": closing,
    "/closed": closed,
    "/fields": fields,
    "/injection": injection,
    "/short": short,
    "/long": long,
    "/own-file": own_file,
    "/memory-file": memory_file,
    "/big": big,
    "/complain": complain,
    "/wait": waits.wait,
    "/wake": waits.wake,
    "/waiting": waits.count,
}


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    page = PAGES.get(environ.get("PATH_INFO", ""))
    if page is None and environ.get("PATH_INFO", "").startswith("/environ"):
        page = show_environ
    if page is None:
        start_response("404 Not Found", PLAIN)
        return [b"no such page"]
    return page(environ, start_response)


application = validator(bare)
