"""The accepting side: gevent's StreamServer without gevent's sockets.

A gevent socket object a connection is several microseconds that no request gets
anything for, so ``do_read`` hands out the plain socket, made non-blocking. Accepting
in batches, starting and stopping are StreamServer's.
"""

from __future__ import annotations

import _socket
import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

from gevent.server import StreamServer


class Acceptor(StreamServer):
    """Accepts on ``listener``, which it does not close.

    ``accepted`` is called in the hub with the plain socket and what accept() said
    of the peer; it must not block. ``failed`` is told when accepting fails for want
    of descriptors or memory; accepting then rests for a moment, longer each time.

    At most ``batch`` connections are taken a turn of the loop, so that sibling
    workers and running requests get theirs. Nothing is accepted before ``resume``.

    ``excess`` is asked before each connection: how many more this worker has than the
    sibling with the fewest should leave it. If there are any, the connection is left
    to siblings for a moment, the longer the more there are; should none of them take
    it, it is accepted all the same.
    """

    #: Seconds a connection is left to siblings for each one in excess, and at the
    #: most. They were woken by it too: one that is idle has it long before.
    patience = 0.002
    most_patience = 0.010
    #: Seconds that nobody is waited for after a wait in vain: siblings are busy then.
    impatience = 0.002

    def __init__(
        self,
        listener: socket.socket,
        accepted: Callable[[_socket.socket, Any], None],
        failed: Callable[[OSError], None],
        excess: Callable[[], int],
        *,
        batch: int,
    ) -> None:
        self._accepted = accepted
        self._failed = failed
        self._excess = excess
        self._was_patient = False
        self._impatient_until = 0.0
        self._family = listener.family
        # Nagle's algorithm would hold back the second half of an answer for 40 ms.
        self._nodelay = listener.family in (socket.AF_INET, socket.AF_INET6)
        self._batch = batch
        self._taken = 0
        # As many as came last time: looking for one more costs a call that fails.
        self.max_accept = 1
        self.accepting = False
        super().__init__(listener)

    def do_read(self) -> tuple[_socket.socket, Any] | None:  # type: ignore[override]
        excess = self._excess()
        if excess and not self._is_impatient():
            self._was_patient = True
            self._resume_after(min(excess * self.patience, self.most_patience))
            return None
        try:
            fd, address = self.socket._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            self._was_patient = False  # A sibling took it.
            self.max_accept = max(1, self._taken)
            return None
        except ConnectionAbortedError:
            return None
        except OSError as exc:
            self._rest(exc)
            return None
        sock = self._plain(fd)
        if self._was_patient:
            # Nobody took it meanwhile.
            self._was_patient = False
            self._impatient_until = monotonic() + self.impatience
        self._taken += 1
        return sock, address

    def _plain(self, fd: int) -> _socket.socket:
        sock = _socket.socket(self._family, socket.SOCK_STREAM, 0, fd)
        sock.setblocking(False)
        if self._nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def accept_the_rest(self) -> None:
        """Accept all that waits, paused or not, before the socket is closed.

        What waits on a socket that is closed is reset. Call it in the hub.
        """
        while True:
            try:
                fd, address = self.socket._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError as exc:
                self._failed(exc)
                return
            self._accepted(self._plain(fd), address)

    def _is_impatient(self) -> bool:
        return self._was_patient or monotonic() < self._impatient_until

    def _rest(self, exc: OSError) -> None:
        self._failed(exc)
        self._resume_after(self.delay)
        self.delay = min(self.max_delay, self.delay * 2)

    def _resume_after(self, seconds: float) -> None:
        self.stop_accepting()
        self._timer = self.loop.timer(seconds)
        self._timer.start(self._start_accepting_if_started)  # type: ignore[attr-defined, call-arg]

    def handle(self, sock: _socket.socket, address: Any) -> None:
        self._accepted(sock, address)

    def do_handle(self, *args: Any) -> None:
        self._accepted(*args)

    def do_close(self, *args: Any) -> None:
        args[0].close()

    def _do_read(self) -> None:
        self._taken = 0
        super()._do_read()  # type: ignore[misc]
        if self._taken == self.max_accept:
            self.max_accept = min(self._batch, self.max_accept * 2)

    def full(self) -> bool:
        return not self.accepting

    def pause(self) -> None:
        """Leave new connections to the backlog and to sibling workers."""
        if self.accepting:
            self.accepting = False
            self.stop_accepting()

    def resume(self) -> None:
        """Accept, from the next turn of the loop on."""
        if not self.accepting:
            self.accepting = True
            if self.started:
                self.start_accepting()
            else:
                self.start()
