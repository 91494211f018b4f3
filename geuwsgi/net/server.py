"""The accepting side.

A gevent server and its socket object a connection are ten microseconds that no request
gets anything for. So what is handed out is a plain socket, and where ``_plain`` is
compiled the least that can stand for one.
"""

from __future__ import annotations

import _socket
import socket
import sys
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from gevent import get_hub

try:
    from geuwsgi.net._plain import Backlog
except ImportError:
    Backlog = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from geuwsgi.net._plain import PlainSocket

    #: What is accepted. Both never block.
    Accepted = _socket.socket | PlainSocket

_READ = 1

#: Seconds a connection is left to siblings for each one in excess, and at the
#: most. They were woken by it too: one that is idle has it long before.
_PATIENCE = 0.002
_MOST_PATIENCE = 0.010
#: Seconds that nobody is waited for after a wait in vain: siblings are busy then.
_IMPATIENCE = 0.002

#: Seconds for which nothing is accepted after an error, doubled each time.
_LEAST_REST = 0.01
_MOST_REST = 1.0


class Acceptor:
    """Accepts on ``listener``, which it does not close, in the hub of this thread.

    ``accepted`` is called in the hub with the socket and what accept() said of the
    peer; it must not block, and returns whether the connection is still open when it
    returns. ``failed`` is told when accepting fails for want of descriptors or memory; accepting then rests
    for a moment, longer each time.

    At most ``batch`` connections are taken a turn of the loop, so that sibling
    workers and running requests get theirs. Nothing is accepted before ``resume``.

    ``excess`` is asked before each connection that may change its answer: how many
    more this worker has than the sibling with the fewest should leave it. If there
    are any, the connection is left to siblings for a moment, the longer the more
    there are; should none of them take it, it is accepted all the same.
    """

    __slots__ = (
        "_accept",
        "_accepted",
        "_batch",
        "_excess",
        "_failed",
        "_impatient_until",
        "_loop",
        "_most",
        "_rest_s",
        "_timer",
        "_was_patient",
        "_watcher",
        "accepting",
        "socket",
    )

    def __init__(
        self,
        listener: socket.socket,
        accepted: Callable[[Accepted, Any], object],
        failed: Callable[[OSError], None],
        excess: Callable[[], int],
        *,
        batch: int,
    ) -> None:
        self.socket = listener
        self._accepted = accepted
        self._failed = failed
        self._excess = excess
        self._was_patient = False
        self._impatient_until = 0.0
        self._batch = batch
        # As many as came last time: looking for one more costs a call that fails.
        self._most = 1
        self._rest_s = _LEAST_REST
        self._loop = get_hub().loop
        self._watcher: Any = None
        self._timer: Any = None
        self.accepting = False
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            # Nagle's algorithm would hold back the second half of an answer for 40
            # ms. Connections inherit it from what they came in by.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if Backlog is None:
            self._accept = _accept_on(listener)
        else:
            self._accept = Backlog(listener.fileno()).accept

    def pause(self) -> None:
        """Leave new connections to the backlog and to sibling workers."""
        if self.accepting:
            self.accepting = False
            self._stop()

    def resume(self) -> None:
        """Accept, from the next turn of the loop on."""
        if not self.accepting:
            self.accepting = True
            self._start()

    def accept_the_rest(self) -> None:
        """Accept all that waits, paused or not, before the socket is closed.

        What waits on a socket that is closed is reset. Call it in the hub.
        """
        while True:
            try:
                found = self._accept()
            except ConnectionAbortedError:
                continue
            except OSError as exc:
                self._failed(exc)
                return
            if found is None:
                return
            self._accepted(found[0], found[1])

    def _on_readable(self) -> None:
        taken = 0
        has_grown = True
        # ``accepted`` may have paused it.
        while self.accepting:
            if taken == self._most:
                self._most = min(self._batch, taken * 2)
                return
            if has_grown:
                excess = self._excess()
                if excess and not self._is_impatient():
                    self._was_patient = True
                    self._rest(min(excess * _PATIENCE, _MOST_PATIENCE))
                    return
            try:
                found = self._accept()
            except ConnectionAbortedError:
                return
            except OSError as exc:
                self._failed(exc)
                self._rest_longer()
                return
            if found is None:
                self._was_patient = False  # A sibling took it.
                self._most = max(1, taken)
                return
            if self._was_patient:
                # Nobody took it meanwhile.
                self._was_patient = False
                self._impatient_until = monotonic() + _IMPATIENCE
            taken += 1
            self._rest_s = _LEAST_REST
            try:
                has_grown = bool(self._accepted(found[0], found[1]))
            except BaseException:
                # The loop would stop the watcher of a callback that raises.
                found[0].close()
                self._loop.handle_error(self, *sys.exc_info())
                self._rest_longer()
                return

    def _is_impatient(self) -> bool:
        return self._was_patient or monotonic() < self._impatient_until

    def _rest_longer(self) -> None:
        seconds = self._rest_s
        self._rest_s = min(_MOST_REST, seconds * 2)
        self._rest(seconds)

    def _rest(self, seconds: float) -> None:
        """Accept nothing for so long."""
        if self.accepting:
            self._stop()
            self._timer = self._loop.timer(seconds)
            self._timer.start(self._start)

    def _start(self) -> None:
        self._stop()
        self._watcher = self._loop.io(self.socket.fileno(), _READ)
        self._watcher.start(self._on_readable)

    def _stop(self) -> None:
        for watcher in (self._watcher, self._timer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._watcher = self._timer = None


def _accept_on(listener: socket.socket) -> Callable[[], tuple[Accepted, Any] | None]:
    """Return what accepts one connection, None if none waits."""
    accept = listener._accept  # type: ignore[attr-defined]
    family = listener.family

    def accept_one() -> tuple[_socket.socket, Any] | None:
        try:
            fd, address = accept()
        except BlockingIOError:
            return None
        sock = _socket.socket(family, socket.SOCK_STREAM, 0, fd)
        sock.setblocking(False)
        return sock, address

    return accept_one
