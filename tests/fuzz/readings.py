"""What each parser reads in the same bytes.

A reading is the requests found on a connection, and how it ended. Ours is read with
the parts that the server's connection uses, put together as it does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11
import httptools

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import http1
from geuwsgi.protocol.chunked import ChunkedDecoder

#: How a reading ends: everything was read; a request said close; the rest is not a
#: request; more bytes are needed.
END = "end"
CLOSED = "closed"
REFUSED = "refused"
CUT = "cut"

Request = tuple[str, str, bytes]


@dataclass(slots=True)
class Reading:
    """``requests`` as (method, target, body); ``why`` is the parser's own word."""

    requests: list[Request]
    outcome: str
    why: str = ""


def read_ours(octets: bytes, parser: http1.HeadParser | None = None) -> Reading:
    parser = parser or http1.HeadParser()
    requests: list[Request] = []
    while True:
        while octets[:2] == b"\r\n":
            octets = octets[2:]
        if not octets:
            return Reading(requests, END)
        end = octets.find(b"\r\n\r\n")
        if end < 0:
            return Reading(requests, CUT)
        environ: dict[str, object] = {}
        try:
            length, flags = parser.parse(octets[:end], environ)
            rest = octets[end + 4 :]
            if length == http1.CHUNKED:
                decoder = ChunkedDecoder()
                body = decoder.feed(rest)
                if not decoder.complete:
                    return Reading(requests, CUT)
                octets = decoder.leftover
            else:
                if len(rest) < length:
                    return Reading(requests, CUT)
                body, octets = rest[:length], rest[length:]
        except RemoteProtocolError as error:
            return Reading(requests, REFUSED, str(error))
        request = str(environ["REQUEST_METHOD"]), str(environ["REQUEST_URI"]), body
        requests.append(request)
        if not flags & http1.KEEP_ALIVE or flags & http1.UPGRADE:
            return Reading(requests, CLOSED)


class _Llhttp:
    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.parser = httptools.HttpRequestParser(self)
        self.keeps = True
        self.upgrades = False

    def on_message_begin(self) -> None:
        self.target = b""
        self.body = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, piece: bytes) -> None:
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_headers_complete(self) -> None:
        self.keeps = self.parser.should_keep_alive()

    def on_message_complete(self) -> None:
        method = self.parser.get_method().decode("latin-1")
        self.requests.append((method, self.target.decode("latin-1"), self.body))
        self.upgrades = self.parser.should_upgrade()


def read_llhttp(octets: bytes) -> Reading:
    reader = _Llhttp()
    try:
        reader.parser.feed_data(octets)
    except httptools.HttpParserUpgrade:
        return Reading(reader.requests, CLOSED)
    except httptools.HttpParserError as error:
        if not reader.keeps and "Connection: close" in str(error):
            return Reading(reader.requests, CLOSED)
        return Reading(reader.requests, REFUSED, str(error))
    return Reading(reader.requests, END)


def read_h11(octets: bytes) -> Reading:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
    connection.receive_data(octets)
    connection.receive_data(b"")
    requests: list[Request] = []
    method, target, body = "", "", b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                method, target = event.method.decode(), event.target.decode("latin-1")
                body = b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                requests.append((method, target, body))
                if str(connection.their_state) == "MIGHT_SWITCH_PROTOCOL":
                    return Reading(requests, CLOSED)
                connection.send(
                    h11.Response(status_code=200, headers=[(b"content-length", b"0")])
                )
                connection.send(h11.EndOfMessage())
                if connection.our_state is h11.MUST_CLOSE:
                    return Reading(requests, CLOSED)
                connection.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed):
                return Reading(requests, END)
            else:
                return Reading(requests, CUT, repr(event))
    except h11.RemoteProtocolError as error:
        return Reading(requests, REFUSED, str(error))


def read_h1c(octets: bytes) -> Reading:
    h1c: Any = importlib.import_module("gunicorn_h1c")
    requests: list[Request] = []
    while True:
        if not octets:
            return Reading(requests, END)
        pieces: list[bytes] = []
        protocol = h1c.H1CProtocol(on_body=pieces.append)
        try:
            protocol.feed(octets)
        except (h1c.ParseError, ValueError) as error:
            return Reading(requests, REFUSED, f"{type(error).__name__}: {error}")
        if not protocol.is_complete:
            return Reading(requests, CUT)
        method, target = (
            protocol.method.decode("latin-1"),
            protocol.path.decode("latin-1"),
        )
        requests.append((method, target, b"".join(pieces)))
        if not protocol.should_keep_alive or protocol.should_upgrade:
            return Reading(requests, CLOSED)
        octets = protocol.remaining()


ORACLES: dict[str, Callable[[bytes], Reading]] = {
    "llhttp": read_llhttp,
    "h11": read_h11,
    "h1c": read_h1c,
}
