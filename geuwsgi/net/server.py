"""The accepting side: gevent's StreamServer without gevent's sockets.

A gevent socket object a connection is several microseconds that no request gets
anything for, so ``do_read`` hands out the plain socket, made non-blocking. Accepting
in batches, starting and stopping are StreamServer's.
"""

from __future__ import annotations

import _socket
import socket
from collections.abc import Callable
from typing import Any

from gevent.server import StreamServer


class Acceptor(StreamServer):
    """Accepts on ``listener``, which it does not close.

    ``accepted`` is called in the hub with the plain socket and what accept() said
    of the peer; it must not block. ``failed`` is told when accepting fails for want
    of descriptors or memory; accepting then rests for a moment, longer each time.

    At most ``batch`` connections are taken a turn of the loop, so that sibling
    workers and running requests get theirs. Nothing is accepted before ``resume``.

    ``is_fair`` is asked before each connection. If it says no, the connection is left
    to siblings for a moment; should none of them take it, it is accepted all the same.
    """

    #: Seconds that a connection is left to siblings. They were woken by it too, so
    #: one that is idle has it long before.
    patience = 0.001

    def __init__(
        self,
        listener: socket.socket,
        accepted: Callable[[_socket.socket, Any], None],
        failed: Callable[[OSError], None],
        is_fair: Callable[[], bool],
        *,
        batch: int,
    ) -> None:
        self._accepted = accepted
        self._failed = failed
        self._is_fair = is_fair
        self._was_patient = False
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
        if self._was_patient:
            self._was_patient = False
        elif not self._is_fair():
            self._was_patient = True
            self._resume_after(self.patience)
            return None
        try:
            fd, address = self.socket._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            self.max_accept = max(1, self._taken)
            return None
        except ConnectionAbortedError:
            return None
        except OSError as exc:
            self._rest(exc)
            return None
        sock = _socket.socket(self._family, socket.SOCK_STREAM, 0, fd)
        sock.setblocking(False)
        self._taken += 1
        if self._nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock, address

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
