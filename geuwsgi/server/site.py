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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from geuwsgi.net.clock import Clock
from geuwsgi.protocol.http1 import HeadParser
from geuwsgi.wsgi.response import HeadRenderer

if TYPE_CHECKING:
    from geuwsgi.net.stream import Stream
    from geuwsgi.server.connection import Connection
    from geuwsgi.server.cores import Cores
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.sticky import Sticky

#: Part of the server that may answer in place of the application: true if it did.
Stage = Callable[["Exchange"], bool]

#: Stream, descriptor, offset, count, what is told of progress → bytes sent.
SendFile = Callable[["Stream", int, int, int, Callable[[int], None]], int]

Application = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may send, and for how long it may be silent.

    Sizes are bytes, times are seconds; a body limit of 0 is none.
    """

    head_bytes: int = 65536
    head_fields: int = 256
    body_bytes: int = 0
    head_timeout: float = 30.0
    body_timeout: float = 30.0
    write_timeout: float = 30.0
    keepalive_timeout: float = 60.0
    #: Bytes of an unread body that are read so that the connection can be kept.
    discard_bytes: int = 262144
    #: A body is read before the application is called, in memory up to this size
    #: and in a file beyond; 0 leaves it on the wire (uWSGI: post-buffering).
    post_buffering: int = 0
    keep_alive: bool = True


class App(Protocol):
    """One application: its number in log lines, what to call, its requests so far."""

    number: int
    requests: int

    @property
    def call(self) -> Application: ...


@dataclass(slots=True, eq=False)
class Site:
    """See the module's text. ``hub`` is the worker's gevent hub.

    ``find_application`` returns the application for a request and may set its
    ``SCRIPT_NAME`` and ``PATH_INFO``; None if there is none.
    """

    hub: Any
    clock: Clock
    cores: Cores
    counters: memoryview[int]
    base_environ: dict[str, object]
    find_application: Callable[[dict[str, Any]], App | None]
    stages: tuple[Stage, ...] = ()
    #: Called with the exchange before its head is rendered; may change its headers.
    response_filters: tuple[Callable[[Exchange], None], ...] = ()
    #: Asked in order before the server answers with an error: true if one answered.
    error_answers: tuple[Callable[[Exchange, int], bool], ...] = ()
    #: Called for requests that ask for an upgrade, to offer it in the environ.
    upgrade_offers: tuple[Callable[[Exchange], None], ...] = ()
    #: Gives what stands before the server's own lines (uWSGI: log-date).
    stamp: Callable[[], str] | None = None
    #: Sends a piece of a file in place of the stream's own ``send_file``.
    send_file: SendFile | None = None
    #: Called with each ended exchange; None when no request is logged.
    log_request: Callable[[Exchange], None] | None = None
    #: The same for requests that asked to be logged where none is.
    log_forced: Callable[[Exchange], None] | None = None
    #: What answers packets of other modifiers on uwsgi sockets.
    modifiers: dict[int, Callable[[Connection, int, bytes], None]] = field(
        default_factory=dict
    )
    #: Called after each request, for limits on their number.
    request_ended: Callable[[], None] | None = None
    #: Where requests of a session belong; None if every worker may have them.
    sticky: Sticky | None = None
    #: Gives a connection, with what was read from it, to another worker: true if it
    #: went.
    hand_over: Callable[[int, Connection, bytes], bool] = lambda *_: False
    harakiri: float = 0.0
    #: Told of each exception that leaves the application.
    exception_seen: Callable[[BaseException], None] | None = None
    #: Send tracebacks to clients (uWSGI: catch-exceptions); never on a public site.
    shows_exceptions: bool = False
    worker_id: int = 1
    trust_forwarded_proto: bool = True
    quiet_disconnects: bool = True
    draining: bool = False
    #: Set when draining begins; an event of gevent's, for greenlets to wait on.
    drain_begins: Any = None
    connections: set[Connection] = field(default_factory=set)
    parser: HeadParser = field(default_factory=HeadParser)
    renderer: HeadRenderer = field(default_factory=HeadRenderer)

    def report(self, line: str) -> None:
        """Write a line to the log."""
        stamp = "" if self.stamp is None else self.stamp()
        text = f"{stamp}{line}\n"
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            # Closed by the application, or nothing left on the disk. A request must
            # not fail because nobody can be told about it.
            with contextlib.suppress(OSError):
                os.write(2, text.encode("utf-8", "replace"))
