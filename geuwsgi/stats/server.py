"""The stats server: whoever connects gets the statistics, and nobody waits for him.

uWSGI writes JSON to everyone who connects and closes. Here a visitor who speaks HTTP gets
an HTTP answer, so that a browser, ``curl`` and Prometheus (``/metrics``) need no option;
one who says nothing for a moment gets the bare JSON, as uwsgitop expects. With
stats-http everyone gets an HTTP head.

It lives in a loop over a selector that is not its own: keys carry a function that takes
the mask, and `tick` is to be called now and then.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from geuwsgi.net.listener import Listener
from geuwsgi.stats import prometheus
from geuwsgi.stats.model import InstanceStats
from geuwsgi.stats.uwsgijson import encode_stats

# How long a visitor has to say that he speaks HTTP.
SILENCE_S = 0.05
# How long one may take for the whole visit.
VISIT_S = 10.0
MOST_VISITORS = 64
# How long nobody is accepted when descriptors or memory are used up.
REST_S = 1.0
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LONGEST_REQUEST = 8192

Deliver = Callable[[InstanceStats], None]
# Finds the statistics out and delivers them, at once or later.
Ask = Callable[[Deliver], None]


@dataclass(frozen=True, slots=True)
class StatsOptions:
    """uWSGI's options of the same names."""

    http: bool = False
    minified: bool = False
    no_cores: bool = False
    no_metrics: bool = False


class StatsServer:
    """Serves visitors of ``listener``, which stays the caller's."""

    def __init__(
        self,
        listener: Listener,
        selector: selectors.BaseSelector,
        ask: Ask,
        options: StatsOptions | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listener = listener
        self._selector = selector
        self._ask = ask
        self._options = options or StatsOptions()
        self._clock = clock
        self._visits: set[_Visit] = set()
        self._closed_until = float("inf")
        self._open()

    def next_deadline(self) -> float:
        """When `tick` has to be called at the latest, on the clock; inf if never."""
        deadlines = [visit.deadline for visit in self._visits]
        return min([*deadlines, self._closed_until])

    def tick(self) -> None:
        """Answer those who said nothing, leave those who take too long."""
        now = self._clock()
        for visit in list(self._visits):
            if now >= visit.deadline:
                visit.expire()
        if now >= self._closed_until:
            self._open()

    def close(self) -> None:
        """Leave all visitors and accept no more."""
        for visit in list(self._visits):
            visit.close()
        if self._closed_until == float("inf"):
            self._selector.unregister(self._listener.socket)

    def _open(self) -> None:
        self._closed_until = float("inf")
        self._selector.register(
            self._listener.socket, selectors.EVENT_READ, self._accept
        )

    def _accept(self, mask: int) -> None:
        try:
            connected, _ = self._listener.socket.accept()
        except OSError as exc:
            if exc.errno in _USED_UP:
                # The visitor keeps waiting, and the selector would tell so for ever.
                self._selector.unregister(self._listener.socket)
                self._closed_until = self._clock() + REST_S
            return
        connected.setblocking(False)
        if len(self._visits) >= MOST_VISITORS:
            connected.close()
            return
        self._visits.add(
            _Visit(
                connected,
                self._selector,
                self._ask,
                self._options,
                self._clock,
                self._visits.discard,
            )
        )


class _Visit:
    """One connection: listen for a request, answer, close."""

    def __init__(
        self,
        connected: socket.socket,
        selector: selectors.BaseSelector,
        ask: Ask,
        options: StatsOptions,
        clock: Callable[[], float],
        ended: Callable[[_Visit], None],
    ) -> None:
        self._socket = connected
        self._selector = selector
        self._ask = ask
        self._options = options
        self._clock = clock
        self._ended = ended
        self._request = bytearray()
        self._answer = b""
        self._is_asked = False
        self._is_told = False
        self._has_left = False  # sends nothing more, but may still read
        self._closed = False
        self._watched = 0
        self.deadline = clock() + SILENCE_S
        self._watch(selectors.EVENT_READ)

    def expire(self) -> None:
        """The deadline has passed."""
        if self._is_asked or self._request:
            self.close()
        else:
            self._begin(None)

    def close(self) -> None:
        """End the visit."""
        if self._closed:
            return
        self._closed = True
        self._watch(0)
        self._socket.close()
        self._ended(self)

    def _act(self, mask: int) -> None:
        try:
            if mask & selectors.EVENT_READ:
                self._read()
            if mask & selectors.EVENT_WRITE and not self._closed:
                self._write()
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def _watch(self, events: int) -> None:
        if events == self._watched:
            return
        if not events:
            self._selector.unregister(self._socket)
        elif self._watched:
            self._selector.modify(self._socket, events, self._act)
        else:
            self._selector.register(self._socket, events, self._act)
        self._watched = events

    def _read(self) -> None:
        piece = self._socket.recv(_LONGEST_REQUEST)
        if not piece:
            self._has_left = True
            self._watch(self._watched & ~selectors.EVENT_READ)
            if not self._is_asked:
                self._begin(None)
            elif self._is_told:
                self.close()
            return
        if self._is_asked:
            return
        self._request += piece
        self.deadline = self._clock() + VISIT_S
        if b"\r\n\r\n" in self._request or b"\n\n" in self._request:
            self._begin(bytes(self._request))
        elif len(self._request) > _LONGEST_REQUEST:
            self.close()

    def _begin(self, request: bytes | None) -> None:
        """Find the answer out; ``request`` is None if the visitor sent none."""
        self._is_asked = True
        self.deadline = self._clock() + VISIT_S
        self._ask(lambda stats: self._deliver(stats, request))

    def _deliver(self, stats: InstanceStats, request: bytes | None) -> None:
        if self._closed:
            return
        self._answer = answer(stats, request, self._options)
        self._watch(self._watched | selectors.EVENT_WRITE)
        self._act(selectors.EVENT_WRITE)

    def _write(self) -> None:
        self._answer = self._answer[self._socket.send(self._answer) :]
        if self._answer:
            return
        self._is_told = True
        if self._has_left:
            self.close()
            return
        # Not closed at once: unread bytes of a request would make it a reset.
        self._socket.shutdown(socket.SHUT_WR)
        self._watch(selectors.EVENT_READ)


def answer(stats: InstanceStats, request: bytes | None, options: StatsOptions) -> bytes:
    """Return what a visitor gets who sent ``request`` (None: nothing)."""
    if request is None:
        body = _json(stats, options)
        return _http(200, "application/json", body) if options.http else body
    line = request.partition(b"\n")[0].split()
    method = line[0] if line else b""
    path, _, query = (line[1] if len(line) > 1 else b"").partition(b"?")
    if method not in {b"GET", b"HEAD"}:
        return _http(405, "text/plain", b"only GET\n", {"Allow": "GET, HEAD"})
    if path == b"/metrics":
        body = prometheus.encode_metrics(stats, with_cores=query == b"cores")
        content_type = prometheus.CONTENT_TYPE
    elif path in {b"/", b""}:
        body = _json(stats, options)
        content_type = "application/json"
    else:
        return _http(404, "text/plain", b"there are / and /metrics\n")
    whole = _http(200, content_type, body)
    return whole[: len(whole) - len(body)] if method == b"HEAD" else whole


def _json(stats: InstanceStats, options: StatsOptions) -> bytes:
    return encode_stats(
        stats,
        minified=options.minified,
        with_cores=not options.no_cores,
        with_metrics=not options.no_metrics,
    )


_REASONS: Mapping[int, str] = {200: "OK", 404: "Not Found", 405: "Method Not Allowed"}


def _http(
    status: int,
    content_type: str,
    body: bytes,
    more: Mapping[str, str] | None = None,
) -> bytes:
    fields = {
        "Connection": "close",
        # As uWSGI: dashboards on other origins read it.
        "Access-Control-Allow-Origin": "*",
        "Content-Type": content_type,
        "Content-Length": str(len(body)),
        **(more or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.0 {status} {_REASONS[status]}\r\n{head}\r\n".encode() + body
