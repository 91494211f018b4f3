"""What all connections of a worker share.

Built once by the worker from its configuration. Hot paths read its attributes, so
they are plain values: numbers that were settings, objects that are asked for every
request.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from geuwsgi.net.clock import Clock
from geuwsgi.protocol.http1 import HeadParser
from geuwsgi.server.greenlets import Greenlets
from geuwsgi.server.lending import Lending
from geuwsgi.server.tally import Tally
from geuwsgi.server.unsent import Unsent
from geuwsgi.wsgi.response import HeadRenderer

if TYPE_CHECKING:
    from geuwsgi.net.stream import Stream
    from geuwsgi.protocol._fields import VarsReader
    from geuwsgi.server.connection import Connection
    from geuwsgi.server.cores import Cores
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.sticky import Sticky

#: Part of the server that may answer in place of the application: true if it did.
Stage = Callable[["Exchange"], bool]

#: Stream, descriptor, offset, count, what is told of progress → bytes sent.
SendFile = Callable[["Stream", int, int, int, Callable[[int], None]], int]

Application = Callable[..., Any]


class Limits:
    """What a peer may send, and for how long it may be silent. Never changed.

    Sizes are bytes, times are seconds; a body limit of 0 is none. ``discard_bytes`` of
    an unread body are read so that the connection can be kept. With ``post_buffering``
    a body is read before the application is called, in memory up to this size and in a
    file beyond; 0 leaves it on the wire (uWSGI: post-buffering).
    """

    __slots__ = (
        "body_bytes",
        "body_timeout",
        "discard_bytes",
        "head_bytes",
        "head_fields",
        "head_timeout",
        "keep_alive",
        "keepalive_timeout",
        "post_buffering",
        "write_timeout",
    )

    def __init__(
        self,
        *,
        head_bytes: int = 65536,
        head_fields: int = 256,
        body_bytes: int = 0,
        head_timeout: float = 30.0,
        body_timeout: float = 30.0,
        write_timeout: float = 30.0,
        keepalive_timeout: float = 60.0,
        discard_bytes: int = 262144,
        post_buffering: int = 0,
        keep_alive: bool = True,
    ) -> None:
        self.head_bytes = head_bytes
        self.head_fields = head_fields
        self.body_bytes = body_bytes
        self.head_timeout = head_timeout
        self.body_timeout = body_timeout
        self.write_timeout = write_timeout
        self.keepalive_timeout = keepalive_timeout
        self.discard_bytes = discard_bytes
        self.post_buffering = post_buffering
        self.keep_alive = keep_alive


class App(Protocol):
    """One application: its number in log lines, what to call, its requests so far."""

    number: int
    requests: int

    @property
    def call(self) -> Application: ...


def _refuses(worker: int, connection: Connection, received: bytes) -> bool:
    return False


class Site:
    """See the module's text. ``hub`` is the worker's gevent hub.

    ``find_application`` returns the application for a request and may set its
    ``SCRIPT_NAME`` and ``PATH_INFO``; None if there is none.
    """

    __slots__ = (
        "base_environ",
        "clock",
        "connections",
        "cores",
        "counters",
        "drain_begins",
        "draining",
        "error_answers",
        "exception_seen",
        "find_application",
        "greenlets",
        "hand_over",
        "harakiri",
        "hub",
        "lending",
        "log_forced",
        "log_request",
        "modifiers",
        "parser",
        "quiet_disconnects",
        "renderer",
        "request_ended",
        "response_filters",
        "send_file",
        "shows_exceptions",
        "stages",
        "stamp",
        "sticky",
        "tally",
        "trust_forwarded_proto",
        "unsent",
        "upgrade_offers",
        "vars_reader",
        "worker_id",
    )

    def __init__(
        self,
        *,
        hub: Any,
        clock: Clock,
        cores: Cores,
        counters: memoryview[int],
        base_environ: dict[str, object],
        find_application: Callable[[dict[str, Any]], App | None],
        parser: HeadParser,
        harakiri: float = 0.0,
        worker_id: int = 1,
    ) -> None:
        self.hub = hub
        self.clock = clock
        self.cores = cores
        self.counters = counters
        self.tally = Tally(counters)
        #: Take up the service of a connection that has rested.
        self.greenlets = Greenlets(hub)
        self.base_environ = base_environ
        self.find_application = find_application
        self.stages: tuple[Stage, ...] = ()
        #: Called with the exchange before its head is rendered; may change its headers.
        self.response_filters: tuple[Callable[[Exchange], None], ...] = ()
        #: Asked in order before the server answers with an error: true if one answered.
        self.error_answers: tuple[Callable[[Exchange, int], bool], ...] = ()
        #: Called for requests that ask for an upgrade, to offer it in the environ.
        self.upgrade_offers: tuple[Callable[[Exchange], None], ...] = ()
        #: Gives what stands before the server's own lines (uWSGI: log-date).
        self.stamp: Callable[[], str] | None = None
        #: Sends a piece of a file in place of the stream's own ``send_file``.
        self.send_file: SendFile | None = None
        #: Called with each ended exchange; None when no request is logged.
        self.log_request: Callable[[Exchange], None] | None = None
        #: The same for requests that asked to be logged where none is.
        self.log_forced: Callable[[Exchange], None] | None = None
        #: What answers packets of other modifiers on uwsgi sockets; None: they are
        #: requests as well.
        self.modifiers: dict[int, Callable[[Connection, int, bytes], None] | None] = {}
        #: Called after each request while it is still the current one; never raises.
        self.request_ended: Callable[[], None] | None = None
        #: Where requests of a session belong; None if every worker may have them.
        self.sticky: Sticky | None = None
        #: Gives a connection, with what was read from it, to another worker: true if it
        #: went.
        self.hand_over: Callable[[int, Connection, bytes], bool] = _refuses
        self.harakiri = harakiri
        #: Told of each exception that leaves the application.
        self.exception_seen: Callable[[BaseException], None] | None = None
        #: Send tracebacks to clients (uWSGI: catch-exceptions); never on a public site.
        self.shows_exceptions = False
        self.worker_id = worker_id
        self.trust_forwarded_proto = True
        self.quiet_disconnects = True
        self.draining = False
        #: Set when draining begins; an event of gevent's, for greenlets to wait on.
        self.drain_begins: Any = None
        self.connections: set[Connection] = set()
        self.parser = parser
        self.renderer = HeadRenderer()
        #: What reads the usual packets of uwsgi, where that is compiled.
        self.vars_reader: VarsReader | None = None
        self.lending = Lending(cores, hub.loop)
        self.unsent = Unsent(clock, self.report)

    def report(self, line: str) -> None:
        """Write a line to the log."""
        stamp = "" if self.stamp is None else self.stamp()
        text = f"{stamp}{line}\n"
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except Exception:
            # Closed or replaced by the application, or nothing left on the disk. A
            # request must not fail because nobody can be told about it.
            with contextlib.suppress(OSError):
                os.write(2, text.encode("utf-8", "replace"))
