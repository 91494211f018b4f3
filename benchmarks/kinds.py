"""What is measured: one declaration a kind."""

from __future__ import annotations

from dataclasses import dataclass

from .requests import FEW_FIELDS, http_request, http_requests, uwsgi_packet
from .servers import Wire

GIGABYTE = 1_000_000_000


@dataclass(frozen=True)
class Requests:
    """Load with these requests in turn; `half_load` paces it at half of the most.

    A request that does something many times over says so in `operations`.
    """

    requests: tuple[bytes, ...]
    connections: int = 32
    close: bool = False
    half_load: bool = False
    operations: int = 1


@dataclass(frozen=True)
class SharedCores(Requests):
    """The same for several workers, which share all cores with the load.

    Each turn measures one worker on a core of its own as well.
    """


@dataclass(frozen=True)
class Transfers:
    """Large bodies: of the response, or `upload` bytes behind the request."""

    request: bytes
    upload: int = 0
    connections: int = 1


@dataclass(frozen=True)
class LongPolls:
    """So many polls held at once and woken together."""

    connections: int


@dataclass(frozen=True)
class Messages:
    """Websocket messages: echoed, or sent to all."""

    size: int
    connections: int = 32
    in_flight: int = 1
    broadcast: bool = False


@dataclass(frozen=True)
class HeldSockets:
    """So many websockets that say nothing and answer the server's pings."""

    connections: int


@dataclass(frozen=True)
class Start:
    """From the command to the first answer, and the memory afterwards."""

    connections: int = 1


@dataclass(frozen=True)
class Kind:
    """One row of plots: the same load on every server that speaks its wire.

    `only` limits it to servers for which it makes sense; empty means all. `options`
    are for the servers that take uWSGI's, with `{directory}` for that of the round.
    """

    name: str
    title: str
    wire: Wire
    module: str
    load: Requests | Transfers | LongPolls | Messages | HeldSockets | Start
    only: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    workers: int = 1

    def measures(self, server: str) -> bool:
        """Whether the kind makes sense for the server of this name."""
        return not self.only or server.removesuffix("-pure") in self.only

    @property
    def unit(self) -> str:
        if isinstance(self.load, LongPolls):
            return "woken/s"
        if isinstance(self.load, HeldSockets):
            return "accepted/s"
        if isinstance(self.load, Start):
            return "starts/s"
        if isinstance(self.load, Transfers):
            return "MB/s"
        if isinstance(self.load, Requests) and self.load.operations > 1:
            return "operations/s"
        return "messages/s" if isinstance(self.load, Messages) else "requests/s"


_WSGI = (
    "geuwsgi",
    "uwsgi-gevent",
    "gunicorn-gevent",
    "gunicorn-gthread",
    "granian",
    "fastwsgi",
    "waitress",
    "pywsgi",
)

_FORKING = ("geuwsgi", "uwsgi-gevent", "uwsgi-sync", "gunicorn-gevent", "granian")

_FILES = ("geuwsgi", "uwsgi-gevent", "nginx")
_STATIC = ("--static-map", "/static={directory}/static")

KINDS: tuple[Kind, ...] = (
    Kind(
        "http-12",
        "HTTP, keep-alive, a browser's 12 fields",
        Wire.HTTP,
        "hello",
        Requests((http_request(),)),
    ),
    Kind(
        "http-12-varied",
        "HTTP, keep-alive, 12 fields that differ from request to request",
        Wire.HTTP,
        "hello",
        Requests(http_requests(16)),
    ),
    Kind(
        "http-2",
        "HTTP, keep-alive, 2 fields",
        Wire.HTTP,
        "hello",
        Requests((http_request(fields=FEW_FIELDS),)),
    ),
    Kind(
        "http-close",
        "HTTP, one request a connection, 12 fields",
        Wire.HTTP,
        "hello",
        Requests((http_request(close=True),), close=True),
    ),
    Kind(
        "uwsgi-unix",
        "uwsgi protocol, Unix socket, one request a connection",
        Wire.UWSGI_UNIX,
        "hello",
        Requests((uwsgi_packet(),), close=True),
    ),
    Kind(
        "uwsgi-tcp",
        "uwsgi protocol, TCP, one request a connection",
        Wire.UWSGI_TCP,
        "hello",
        Requests((uwsgi_packet(),), close=True),
    ),
    Kind(
        "http-12-workers",
        "HTTP, keep-alive, 12 fields, two workers on the two cores that the load uses",
        Wire.HTTP,
        "hello",
        SharedCores((http_request(),)),
        _FORKING,
        workers=2,
    ),
    Kind(
        "http-close-workers",
        "HTTP, one request a connection, two workers on the two cores that the load "
        "uses",
        Wire.HTTP,
        "hello",
        SharedCores((http_request(close=True),), close=True),
        _FORKING,
        workers=2,
    ),
    Kind(
        "nginx",
        "nginx in front on the same core, uwsgi protocol over a Unix socket",
        Wire.NGINX,
        "hello",
        Requests((http_request(),)),
    ),
    Kind(
        "longpoll-10k",
        "10,000 long polls held, then woken by one event",
        Wire.HTTP_HELD,
        "longpoll",
        LongPolls(10_000),
    ),
    Kind(
        "post-10k",
        "HTTP, POST of 10 KB",
        Wire.HTTP,
        "transfer",
        Requests((http_request("/post", body=b"z" * 10_000),)),
        _WSGI,
    ),
    Kind(
        "large",
        "HTTP, response of 100 KB",
        Wire.HTTP,
        "transfer",
        Requests((http_request("/large"),)),
        _WSGI,
    ),
    Kind(
        "stream",
        "HTTP, response of 1,000 chunks",
        Wire.HTTP,
        "transfer",
        Requests((http_request("/stream"),), connections=8),
        _WSGI,
    ),
    Kind(
        "flask",
        "a Flask page",
        Wire.HTTP,
        "flask_page",
        Requests((http_request(),)),
        _WSGI,
    ),
    Kind(
        "django",
        "a Django page",
        Wire.HTTP,
        "django_page",
        Requests((http_request(),)),
        _WSGI,
    ),
    Kind(
        "websocket-64",
        "websocket echo, 64 bytes",
        Wire.WEBSOCKET,
        "uwsgi_websocket",
        Messages(64, connections=64),
    ),
    Kind(
        "websocket-16k",
        "websocket echo, 16 KiB",
        Wire.WEBSOCKET,
        "uwsgi_websocket",
        Messages(16384, connections=64),
    ),
    Kind(
        "websocket-16",
        "websocket echo, 64 bytes, 16 in flight",
        Wire.WEBSOCKET,
        "uwsgi_websocket",
        Messages(64, in_flight=16),
    ),
    Kind(
        "broadcast",
        "websocket broadcast to 500, 64 bytes",
        Wire.WEBSOCKET,
        "uwsgi_websocket",
        Messages(64, connections=500, broadcast=True),
    ),
    Kind(
        "broadcast-5k",
        "websocket broadcast to 5,000, 64 bytes, by each server's own function",
        Wire.WEBSOCKET,
        "geuwsgi_websocket",
        Messages(64, connections=5000, broadcast=True),
        ("geuwsgi", "picows", "websockets"),
    ),
    Kind(
        "websocket-20k",
        "20,000 idle websockets, each pinged every 8 seconds",
        Wire.WEBSOCKET,
        "uwsgi_websocket",
        HeldSockets(20_000),
        ("geuwsgi", "uwsgi-gevent"),
        ("--websockets-ping-freq", "8", "--websockets-pong-tolerance", "10"),
    ),
    Kind(
        "latency",
        "HTTP at half load beside a computing greenlet",
        Wire.HTTP,
        "computing",
        Requests((http_request(),), half_load=True),
        ("geuwsgi", "uwsgi-gevent", "gunicorn-gevent", "pywsgi"),
    ),
    Kind(
        "static",
        "a static file of 10 KB",
        Wire.HTTP,
        "hello",
        Requests((http_request("/static/page.css"),)),
        _FILES,
        _STATIC,
    ),
    Kind(
        "static-1k",
        "a static file of 1 KB",
        Wire.HTTP,
        "hello",
        Requests((http_request("/static/1k.css"),)),
        _FILES,
        _STATIC,
    ),
    Kind(
        "static-100k",
        "a static file of 100 KB",
        Wire.HTTP,
        "hello",
        Requests((http_request("/static/100k.css"),)),
        _FILES,
        _STATIC,
    ),
    Kind(
        "static-close",
        "a static file of 1 KB, one request a connection",
        Wire.HTTP,
        "hello",
        Requests((http_request("/static/1k.css", close=True),), close=True),
        _FILES,
        _STATIC,
    ),
    Kind(
        "static-1g",
        "a static file of 1 GB",
        Wire.HTTP,
        "hello",
        Transfers(http_request("/static/1g.bin")),
        _FILES,
        _STATIC,
    ),
    Kind(
        "upload-1g",
        "an upload of 1 GB, read in pieces of 64 KiB",
        Wire.HTTP,
        "transfer",
        Transfers(http_request("/upload", upload=GIGABYTE), upload=GIGABYTE),
        _WSGI,
    ),
    Kind(
        "tls",
        "HTTPS, keep-alive, 12 fields",
        Wire.HTTPS,
        "hello",
        Requests((http_request(),)),
    ),
    Kind(
        "tls-1g",
        "a static file of 1 GB over HTTPS",
        Wire.HTTPS,
        "hello",
        Transfers(http_request("/static/1g.bin")),
        _FILES,
        _STATIC,
    ),
    Kind(
        "cache-get",
        "reading the shared cache, values of 100 bytes",
        Wire.HTTP,
        "cache_operations",
        Requests((http_request("/get"),), connections=4, operations=1000),
        ("geuwsgi", "uwsgi-gevent"),
        ("--cache2", "name=bench,items=5000,blocksize=1024"),
    ),
    Kind(
        "cache-set",
        "writing the shared cache, values of 100 bytes",
        Wire.HTTP,
        "cache_operations",
        Requests((http_request("/set"),), connections=4, operations=1000),
        ("geuwsgi", "uwsgi-gevent"),
        ("--cache2", "name=bench,items=5000,blocksize=1024"),
    ),
    Kind(
        "start",
        "start-up with one worker, smallest page",
        Wire.HTTP,
        "hello",
        Start(),
        _WSGI,
    ),
    Kind(
        "start-flask-4",
        "start-up with four workers, Flask",
        Wire.HTTP,
        "flask_page",
        Start(),
        ("geuwsgi", "uwsgi-gevent", "gunicorn-gevent", "gunicorn-gthread", "granian"),
        workers=4,
    ),
    Kind(
        # As many as fit into the hard limit of descriptors of many systems, 20,000.
        "longpoll-18k",
        "18,000 long polls held, then woken by one event",
        Wire.HTTP_HELD,
        "longpoll",
        LongPolls(18_000),
        ("geuwsgi", "uwsgi-gevent"),
    ),
    Kind(
        "longpoll-100k",
        "100,000 long polls held, then woken by one event",
        Wire.HTTP_HELD,
        "longpoll",
        LongPolls(100_000),
        ("geuwsgi",),
    ),
)

QUICK = (
    "http-12",
    "http-12-varied",
    "http-2",
    "http-close",
    "uwsgi-unix",
    "uwsgi-tcp",
    "longpoll-10k",
)
"""What is run when no kinds are named."""
