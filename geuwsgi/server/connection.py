"""One connection's life: read a request, have it answered, again or close.

``Connection`` holds what both protocols share: running an exchange on a core,
turning failures into answers, and closing so that the peer can read the last one.
The two subclasses know how requests arrive.
"""

from __future__ import annotations

import tempfile
import traceback
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from geuwsgi.errors import Disconnected, PeerTimeout, RemoteProtocolError
from geuwsgi.server.abort import RequestAborted
from geuwsgi.server.answering import ENDS, answer
from geuwsgi.server.exchange import Carrier, Exchange
from geuwsgi.server.lending import LEAST_RATE
from geuwsgi.shared import scoreboard
from geuwsgi.wsgi.input import BodyInput, ChunkedInput, LengthInput

if TYPE_CHECKING:
    from geuwsgi.net.stream import Stream
    from geuwsgi.server.site import Limits, Site

#: How long and how much of an unread request is read after the last answer. A front
#: server that is reset while it still sends tells its client of a bad gateway.
_LINGER_S = 5.0
_LINGER_BYTES = 1 << 28

#: So much of a body is read before a core is taken, all of it if it is smaller, at
#: ``LEAST_RATE`` or sooner.
SMALL_BODY = 65536

#: Characters of a refusal that the log and the peer are told.
TOLD = 160

#: Bytes of a body that are read at once.
_BLOCK = 65536

#: Bytes asked for where a request is expected.
READ_SIZE = 16384


class Connection(Carrier):
    """A connected peer on ``stream``.

    ``environ`` is what every request on the connection starts from: the worker's
    part and the peer's. Where ``peer_address`` is set, ``environ`` is shared by all
    connections of a listener and lacks the peer's: 400 bytes less for each one.
    """

    __slots__ = (
        "__weakref__",
        "environ",
        "idle",
        "is_adopted",
        "is_relayed",
        "listener",
        "peer_address",
        "peer_port",
        "pending",
    )

    def __init__(
        self,
        site: Site,
        stream: Stream,
        environ: dict[str, object],
        limits: Limits,
    ) -> None:
        super().__init__(site, stream, limits)
        #: Index of the listener that accepted it.
        self.listener = 0
        self.peer_address = ""
        self.peer_port = ""
        #: What was read before the protocol's turn, by an edge or by a sibling.
        self.pending = b""
        #: A sibling gave the connection to this worker because of its next request.
        self.is_adopted = False
        #: The stream ends at a sibling, which has the client's in TLS.
        self.is_relayed = False
        self.environ = environ
        #: Between requests: draining may close it without losing anything.
        self.idle = False

    def new_environ(self) -> dict[str, Any]:
        """Return what a request starts from, for it to have."""
        environ = self.environ.copy()
        if self.peer_address:
            environ["REMOTE_ADDR"] = self.peer_address
            environ["REMOTE_PORT"] = self.peer_port
        return environ

    def next_exchange(self) -> Exchange | None:
        """Return the next request when it has come, None when the connection ends.

        Parks the greenlet. Whoever has it answered tells ``settle`` before asking for
        the next one. A protocol whose requests do not come one after the other serves
        them all in ``_serve`` and returns None.
        """
        self._serve()
        return None

    def _serve(self) -> None:
        raise NotImplementedError

    def settle(self, exchange: Exchange) -> int:
        """Do what is due after ``exchange``; ENDS, STAYS or RESTS."""
        return ENDS

    def run(self, exchange: Exchange) -> None:
        """Have ``exchange`` answered: by a stage, the application, or an error."""
        answer(self, exchange)

    def refuse_for_want_of_an_application(self, exchange: Exchange) -> None:
        self.site.report(
            "--- no python application found, check your startup logs for errors ---"
        )
        exchange.respond_error(500)

    def goes_elsewhere(self, environ: dict[str, Any], received: bytes) -> bool:
        """Give the connection to the worker that has the request's session, if any.

        ``received`` is all that was read since the last answer. If the connection is
        in TLS, this blocks until it is over. A request that came from a sibling stays, or two workers that disagree would
        pass it back and forth.
        """
        self.pending = b""
        if self.is_adopted:
            self.is_adopted = False
            return False
        sticky = self.site.sticky
        assert sticky is not None
        worker = sticky.worker_of(environ)
        return worker not in (0, self.site.worker_id) and self.site.hand_over(
            worker, self, received
        )

    @staticmethod
    def buffer_body(exchange: Exchange, in_memory: int) -> None:
        """Read the whole body before it is used (uWSGI: post-buffering).

        What is longer than ``in_memory`` bytes goes to a file. Meanwhile the request
        holds no core: it is the client who works.
        """
        body: BodyInput = exchange.input
        began = monotonic()
        exchange.release_core()
        # Closed at the end of the exchange, which outlives this function.
        file = tempfile.SpooledTemporaryFile(in_memory)  # noqa: SIM115
        exchange.at_end(file.close)
        length = 0
        while piece := body.read(_BLOCK):
            length += len(piece)
            file.write(piece)
        file.seek(0)
        exchange.take_core_again(monotonic() - began)
        exchange.environ["wsgi.input"] = file
        exchange.environ["CONTENT_LENGTH"] = str(length)

    def fail(self, exchange: Exchange, exc: BaseException) -> None:
        """Turn what ended the request into an answer and a line in the log."""
        site = self.site
        exchange.keep_alive = False
        exchange.failed = True
        if isinstance(exc, Disconnected):
            if not site.quiet_disconnects:
                site.report(
                    f"client gone during {exchange.method} "
                    f"{exchange.environ.get('REQUEST_URI')}: {exc}"
                )
            exchange.cut()
        elif isinstance(exc, RequestAborted):
            site.report(f"{exc}\n{format_traceback(exc)}")
            exchange.respond_error(exc.status)
        elif exchange.upgraded and isinstance(exc, (ConnectionError, StopIteration)):
            pass  # How simple-websocket's users say that there is nothing to answer.
        elif isinstance(exc, RemoteProtocolError):
            site.report(f"bad request from {self._peer(exchange.environ)}: {exc}")
            exchange.respond_error(exc.status, str(exc))
        else:
            site.counters[scoreboard.EXCEPTIONS] += 1
            told = format_traceback(exc)
            site.report(told)
            exchange.respond_error(500, told if site.shows_exceptions else "")
            if site.exception_seen is not None:
                site.exception_seen(exc)

    @staticmethod
    def _peer(environ: dict[str, Any]) -> str:
        return str(environ.get("REMOTE_ADDR", "unknown peer"))

    def await_small_body(self, body: BodyInput) -> bool:
        """Wait for a body that is announced, or its beginning; false if refused.

        A client that sends slowly then holds no core, nor an application that waits
        for it: only its connection. It has one deadline for all of it, at a rate that
        no real link falls below. Bodies in chunks may be meant to come slowly, and
        the application may not want one that waits to be asked for: both are taken as
        they are while slow peers do not use up the cores.
        """
        is_short = self.site.lending.is_needed
        if type(body) is LengthInput:
            remaining = min(body.remaining, SMALL_BODY)
        elif is_short and type(body) is ChunkedInput:
            remaining = SMALL_BODY
        else:
            return True
        if body.before_first_read is not None:
            if not is_short:
                return True
            body.before_first_read()
            body.before_first_read = None
        stream = self.stream
        stream.deadline = (
            self.site.clock.now + self.limits.body_timeout + remaining / LEAST_RATE
        )
        try:
            body.fill(SMALL_BODY)
        except PeerTimeout:
            self.refuse(RemoteProtocolError("request body not complete in time", 408))
            return False
        stream.deadline = 0.0
        return True

    def _extend_read_deadline(self) -> None:
        site = self.site
        self.stream.deadline = site.clock.now + self.limits.body_timeout

    def refuse(self, error: RemoteProtocolError) -> None:
        """Answer a request that could not be read, and end the connection."""
        site = self.site
        # A line of the head may be as long as the head, and may hold a secret.
        message = str(error)[:TOLD]
        environ = self.new_environ()
        site.report(f"bad request from {self._peer(environ)}: {message}")
        exchange = Exchange(site, self, environ)
        exchange.started = time()
        self.is_head = False
        exchange.respond_error(error.status, message)
        self.close_gently()

    def close_gently(self) -> None:
        """Close without a reset that would eat the last answer."""
        site = self.site
        self.stream.deadline = site.clock.now + _LINGER_S
        self.stream.half_close_and_drain(_LINGER_BYTES)


def format_traceback(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc)).rstrip()


def overdue_streams(connections: set[Connection], now: float) -> list[Stream]:
    """Return the streams of ``connections`` with a wait that is past its deadline."""
    due = []
    for connection in connections:
        if connection.stream.is_overdue(now):
            due.append(connection.stream)
    return due
