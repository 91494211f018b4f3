"""A connected socket that parks its greenlet instead of blocking.

Not a gevent socket, because of what those cost a request: two watcher operations, a
timer and several Python calls a wait. Here a connection has one read watcher that
stays started while requests follow each other, so that waiting costs the kernel
nothing; and system calls are made on the plain socket, which never blocks.

One greenlet reads, one writes. A second one fails loudly. Operating system errors
become ``Disconnected`` here and nowhere else.

Deadlines are values, not timers: ``deadline`` is the time (of ``Clock.now``) at
which a wait in progress fails; whoever owns the streams calls ``expire`` on those
whose deadline has passed. Waits for a slow reader set their own, ``write_deadline``:
most answers never wait and pay nothing for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import sys
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from geuwsgi.errors import Disconnected, LocalProtocolError, PeerTimeout
from geuwsgi.net.socketcalls import PlainSocket, SocketCalls

if TYPE_CHECKING:
    import _socket

    from geuwsgi.net.clock import Clock

#: Told what a slow reader has not taken, and how to send it from a file later: true if
#: that is done.
BeforeWaiting = Callable[[memoryview, Callable[[int, int, int], int]], bool]

_READ = 1
_WRITE = 2
_SENDFILE_BLOCK = 1 << 20
#: Bytes that are read and forgotten before others get a turn.
_DRAINED_A_TURN = 1 << 20
#: 0 where the system has no such thing: then there are two packets.
_MORE: int = getattr(socket, "MSG_MORE", 0)


class Sleeper:
    """Who waits for a stream without a greenlet."""

    __slots__ = ()

    def wake(self) -> None:
        """There is something to read, or the stream has failed. Called in the hub."""
        raise NotImplementedError


class Stream(SocketCalls):
    """Owns ``sock``, which never blocks, until ``close``.

    It is a ``_socket.socket``, or a ``PlainSocket``, as an ``Acceptor`` gives it.

    ``hub`` is the gevent hub of the thread that uses the stream. A reader that takes
    nothing for ``write_timeout`` seconds of ``clock`` is given up; 0 waits for ever.
    """

    __slots__ = (
        "_armed",
        "_clock",
        "_failure",
        "_reader",
        "_sleeper",
        "_watcher",
        "_writer",
        "closed",
        "deadline",
        "unsent",
        "write_deadline",
        "write_timeout",
    )

    def __init__(
        self,
        sock: _socket.socket | PlainSocket,
        hub: Any,
        clock: Clock | None = None,
        write_timeout: float = 0.0,
    ) -> None:
        super().__init__(sock, hub)
        self._watcher: Any = None
        self._armed = False
        self._reader: greenlet | None = None
        self._writer: greenlet | None = None
        self._sleeper: Sleeper | None = None
        self._failure: Disconnected | None = None
        self._clock = clock
        self.closed = False
        self.deadline = 0.0
        #: Bytes that a slow reader is waited for with; says nothing between waits.
        self.unsent = 0
        self.write_deadline = 0.0
        self.write_timeout = write_timeout

    def fileno(self) -> int:
        """Return the descriptor, -1 once closed."""
        return -1 if self.closed else self._fd

    @property
    def socket(self) -> _socket.socket:
        """The plain socket. Whoever reads or writes it takes over the stream."""
        sock = self._sock
        if isinstance(sock, PlainSocket):
            self._sock = sock = sock.to_socket()
        return sock

    @property
    def is_waiting(self) -> bool:
        """Whether a greenlet is parked on this stream."""
        return (
            self._reader is not None
            or self._writer is not None
            or self._sleeper is not None
        )

    def is_parked(self, current: greenlet | None) -> bool:
        """Whether ``current`` is parked on this stream."""
        return current is not None and (
            self._reader is current or self._writer is current
        )

    def left_to_take(self) -> int:
        """How much the slow reader that is waited for has not taken; 0 if none is."""
        if self._writer is None:
            return 0
        try:
            queued = fcntl.ioctl(self._fd, termios.TIOCOUTQ, bytes(4))
        except OSError:
            return self.unsent
        return self.unsent + int.from_bytes(queued, sys.byteorder)

    # Reading

    def rest(self, sleeper: Sleeper) -> bool:
        """Wait without a greenlet; false if this stream cannot.

        ``sleeper`` is woken in the hub, once, when there is something to read, the
        deadline has passed or the stream was closed: the next ``recv`` says which. A
        greenlet costs an idle connection 7 KiB, and switching among a thousand of them
        costs a request more than all else here.
        """
        if self.closed:
            return False
        self._sleeper = sleeper
        self._arm()
        return True

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes, b"" at the end of the stream.

        Parks the greenlet until there are some. Raises Disconnected if the peer
        reset the connection, PeerTimeout past the deadline.
        """
        if self._failure is not None:
            return self._recv_late(size)
        while True:
            try:
                received = self._receive(size)
            except OSError as exc:
                raise self._translate(exc) from exc
            if received is not None:
                return received
            self.wait_readable()

    def _recv_late(self, size: int) -> bytes:
        """What came before the failure was noticed is still received."""
        failure = self._failure
        assert failure is not None
        self._failure = None
        received = self.recv_nowait(size)
        if received is None:
            raise failure
        return received

    def recv_after_wait(self, size: int) -> bytes:
        """As ``recv``, for when nothing is expected to be there yet.

        After a response the next request is at least one round trip away: asking
        the kernel first would cost a system call that fails.
        """
        self.wait_readable()
        return self.recv(size)

    def recv_nowait(self, size: int) -> bytes | None:
        """Return what is there, b"" at the end of the stream, None if nothing is."""
        try:
            return self._receive(size)
        except OSError as exc:
            raise self._translate(exc) from exc

    def wait_readable(self) -> None:
        """Park the greenlet until the socket can be read, or is closed."""
        if self._reader is not None:
            raise LocalProtocolError("two greenlets read the same connection")
        if self.closed:
            raise Disconnected("the connection is closed")
        self._arm()
        self._reader = self._current()
        try:
            self._switch_to_hub()
        finally:
            self._reader = None

    def _arm(self) -> None:
        if not self._armed:
            if self._watcher is None:
                self._watcher = self._hub.loop.io(self._fd, _READ)
            self._watcher.start(self._on_readable)
            self._armed = True

    def _on_readable(self) -> None:
        reader = self._reader
        if reader is None:
            sleeper = self._sleeper
            if sleeper is not None:
                self._sleeper = None
                sleeper.wake()
                return
            # Bytes came while nobody reads: a level-triggered watcher would spin.
            self._watcher.stop()
            self._armed = False
            return
        self._reader = None
        self._switch_to(reader)

    # Writing

    def send_all(self, octets: bytes | memoryview) -> None:
        """Send all of ``octets``; parks the greenlet while the peer is slow.

        Raises Disconnected if the peer is gone, PeerTimeout past the deadline.
        """
        try:
            sent = self._transmit(octets, 0)
        except OSError as exc:
            raise self._translate(exc) from exc
        if sent != len(octets):
            self._send_rest(memoryview(octets)[sent:])

    def _send_rest(self, rest: memoryview) -> None:
        while rest:
            self.unsent = len(rest)
            self.wait_writable()
            try:
                sent = self._transmit(rest, 0)
            except OSError as exc:
                raise self._translate(exc) from exc
            rest = rest[sent:]

    def send_last(
        self, octets: bytes | memoryview, before_waiting: BeforeWaiting
    ) -> None:
        """As ``send_all``, of all that there is; ``before_waiting`` first if it waits."""
        try:
            sent = self._transmit(octets, 0)
        except OSError as exc:
            raise self._translate(exc) from exc
        if sent != len(octets):
            rest = memoryview(octets)[sent:]
            if not before_waiting(rest, self.send_file):
                self._send_rest(rest)

    def send_more(self, octets: bytes | memoryview) -> None:
        """As ``send_all``, for bytes that others follow at once.

        They may wait in the kernel for those, so that a head and the beginning of a
        file leave in one packet.
        """
        try:
            sent = self._transmit(octets, _MORE)
        except OSError as exc:
            raise self._translate(exc) from exc
        if sent != len(octets):
            self._send_rest(memoryview(octets)[sent:])

    def send_both_nowait(self, first: bytes, second: bytes | memoryview) -> int:
        """As ``send_nowait`` for two pieces in one system call."""
        try:
            return self._transmit_both(first, second)
        except OSError as exc:
            raise self._translate(exc) from exc

    def send_nowait(self, octets: bytes | memoryview) -> int:
        """Send what the kernel takes at once; return how many bytes that was."""
        try:
            return self._transmit(octets, 0)
        except OSError as exc:
            raise self._translate(exc) from exc

    def send_file(
        self,
        fd: int,
        offset: int,
        count: int,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Send ``count`` bytes of the file ``fd`` from ``offset``, by sendfile(2).

        Returns how many were sent: fewer if the file ends early. ``progress`` is
        told the number of bytes after each piece.
        """
        left = count
        while left:
            try:
                sent = os.sendfile(self._fd, fd, offset, min(left, _SENDFILE_BLOCK))
            except BlockingIOError:
                self.unsent = left
                self.wait_writable()
                continue
            except OSError as exc:
                raise self._translate(exc) from exc
            if not sent:
                break
            offset += sent
            left -= sent
            if progress is not None:
                progress(sent)
            if left:
                self.let_others_run()
        return count - left

    def let_others_run(self) -> None:
        """Give the other greenlets a turn, in the middle of much to send.

        A client that takes everything at once would otherwise keep the worker.
        """
        self._hub.loop.run_callback(getcurrent().switch)
        self._switch_to_hub()
        if self.closed:
            raise Disconnected("the connection is closed")

    def wait_writable(self) -> None:
        """Park the greenlet until the socket takes bytes, or is closed."""
        if self._writer is not None:
            raise LocalProtocolError("two greenlets write the same connection")
        if self.closed:
            raise Disconnected("the connection is closed")
        current = self._current()
        # Slow readers are the exception, so the write watcher lives only as long
        # as the wait.
        watcher = self._hub.loop.io(self._fd, _WRITE)
        if self._clock is not None and self.write_timeout:
            self.write_deadline = self._clock.now + self.write_timeout
        self._writer = current
        watcher.start(self._on_writable)
        try:
            self._switch_to_hub()
        finally:
            self._writer = None
            self.write_deadline = 0.0
            watcher.stop()
            watcher.close()

    def _on_writable(self) -> None:
        writer = self._writer
        if writer is not None:
            self._writer = None
            self._switch_to(writer)

    # Ending

    def is_overdue(self, now: float) -> bool:
        """Whether a wait in progress is past its deadline."""
        return (
            0.0 < self.deadline <= now
            and (self._reader is not None or self._sleeper is not None)
        ) or 0.0 < self.write_deadline <= now

    def expire(self) -> None:
        """Fail the waits in progress with PeerTimeout. Call it in the hub."""
        self.deadline = 0.0
        self._fail_waits(PeerTimeout("the peer was silent for too long"))

    def _fail_waits(self, error: Disconnected) -> None:
        if self._sleeper is not None:
            self._failure = error
            self._hub.loop.run_callback(self._sleeper.wake)
            self._sleeper = None
        for waiting in (self._reader, self._writer):
            if waiting is not None:
                self._hub.loop.run_callback(self._throw, waiting, error)

    def _throw(self, waiting: greenlet, error: Disconnected) -> None:
        # Between the decision and now the wait may have ended by itself.
        if self._reader is waiting or self._writer is waiting:
            waiting.throw(error)

    def shutdown_write(self) -> None:
        """Tell the peer that nothing more comes."""
        if not self.closed:
            # If the peer was faster, there is nobody left to tell.
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def reset_on_close(self) -> None:
        """Make ``close`` reset the connection, so that a cut answer looks cut."""
        if not self.closed:
            with contextlib.suppress(OSError):
                self.socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )

    def half_close_and_drain(self, limit: int) -> None:
        """Close so that the peer reads the last answer to its end.

        A socket closed with unread bytes resets the connection, and the reset eats
        what the peer has not read yet. So: send the end, then read and forget up to
        ``limit`` bytes, until the peer closes or ``deadline``.
        """
        self.shutdown_write()
        turn = limit - _DRAINED_A_TURN
        try:
            while limit > 0:
                received = self.recv(65536)
                if not received:
                    break
                limit -= len(received)
                if limit < turn:
                    # A peer that sends as fast as this reads never makes it wait.
                    turn -= _DRAINED_A_TURN
                    self.let_others_run()
        except Disconnected:
            pass
        self.close()

    def close(self) -> None:
        """Close the socket. Greenlets parked on it get Disconnected. Idempotent."""
        if self.closed:
            return
        self.closed = True
        if self.is_waiting:
            self._fail_waits(Disconnected("the connection was closed"))
        self.detach_watcher()
        self._close_socket()

    def detach_watcher(self) -> None:
        """Give up the read watcher; a later wait makes a new one."""
        watcher = self._watcher
        if watcher is not None:
            self._watcher = None
            self._armed = False
            watcher.stop()
            watcher.close()

    @staticmethod
    def _translate(exc: OSError) -> Disconnected:
        return Disconnected(exc.strerror or str(exc))
