"""Where log lines end, and the sinks that are descriptors or datagram sockets.

Used by the master, so nothing here waits: what a sink cannot take now is kept for a
while or dropped and counted. ``write`` raises nothing.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Protocol

from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.log.outlet import Outlet


class Sink(Protocol):
    """Takes lines. ``tick`` is called about once a second.

    A sink that ``takes_many`` may be given several lines at once.
    """

    @property
    def takes_many(self) -> bool: ...

    def write(self, line: bytes) -> None:
        """Take one line (with its newline, unless an encoder took it)."""

    def tick(self) -> None:
        """Send what was kept, connect again: whatever had to wait."""

    def reopen(self) -> None:
        """Open what has a name anew (uWSGI: log-reopen)."""

    def rotate(self) -> None:
        """Begin a new file, if it is one."""

    def close(self) -> None:
        """Write what can be written and close."""


class Unnamed:
    """The part of sinks that have nothing to open or to begin anew."""

    takes_many = False

    def tick(self) -> None:
        """Nothing waits."""

    def reopen(self) -> None:
        """There is no name to open."""

    def rotate(self) -> None:
        """There is no file."""


class FdSink(Unnamed):
    """Writes to an open descriptor, which stays the caller's."""

    takes_many = True

    def __init__(self, fd: int) -> None:
        self._outlet = Outlet(fd)

    def write(self, line: bytes) -> None:
        """See Sink."""
        self._outlet.write(line)

    def tick(self) -> None:
        """See Sink."""
        self._outlet.flush()

    def close(self) -> None:
        """See Sink."""
        self._outlet.close()


class DatagramSink(Unnamed):
    """Sends each line as a datagram to ``host:port`` or the path of a Unix socket.

    ``wrap`` makes the datagrams of a line. A receiver that is not there yet may come
    later: the socket is connected when it can be.
    """

    def __init__(
        self, address: str, wrap: Callable[[bytes], list[bytes]] | None = None
    ) -> None:
        self.dropped = 0
        self._wrap = wrap
        self._family: int
        self._target: str | tuple[str, int]
        host, colon, port = address.rpartition(":")
        if colon and not address.startswith("/"):
            self._family, self._target = resolve(address, host, port)
        else:
            self._family, self._target = socket.AF_UNIX, address
        self._socket: socket.socket | None = None
        self._connect()

    def write(self, line: bytes) -> None:
        """See Sink."""
        for datagram in self._wrap(line) if self._wrap else (line,):
            if not self._send(datagram):
                self.dropped += 1

    def tick(self) -> None:
        """See Sink."""
        if self._socket is None:
            self._connect()

    def reopen(self) -> None:
        """See Sink."""
        self.close()
        self._connect()

    def close(self) -> None:
        """See Sink."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, datagram: bytes) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.send(datagram)
        except (BlockingIOError, ConnectionRefusedError):
            # UDP tells with the next datagram that nobody took the last one.
            return False
        except OSError:
            self.close()
            return False
        return True

    def _connect(self) -> None:
        opened = socket.socket(self._family, socket.SOCK_DGRAM)
        opened.setblocking(False)
        try:
            opened.connect(self._target)
        except OSError:
            opened.close()
        else:
            self._socket = opened


def resolve(address: str, host: str, port: str) -> tuple[int, tuple[str, int]]:
    """Return family and number of ``host:port``; ConfigError, StartupError."""
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ConfigError(f"malformed port in the log address {address!r}")
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or "127.0.0.1", int(port), type=socket.SOCK_DGRAM
        )
    except (OSError, UnicodeError) as exc:
        raise StartupError(f"unknown host in the log address {address!r}") from exc
    family, _, _, _, target = found[0]
    return family, (str(target[0]), int(target[1]))


def syslog_datagram(
    ident: str, priority: int, *, pid: int
) -> Callable[[bytes], list[bytes]]:
    """Return what makes the datagram of a line for ``/dev/log``."""
    tag = f"{ident}[{pid}]: ".encode()

    def wrap(line: bytes) -> list[bytes]:
        text = line.removesuffix(b"\n")
        return [b"<%d>%b %b%b" % (priority, _syslog_time(), tag, text)]

    return wrap


def rsyslog_datagrams(
    ident: str, priority: int, *, size: int, split: bool
) -> Callable[[bytes], list[bytes]]:
    """Return what makes the datagrams of a line for a remote syslog (RFC 3164).

    They are at most ``size`` bytes; the rest of a line is cut off, or sent in more of
    them with ``split``.
    """
    tag = f" {ident}: ".encode()

    def wrap(line: bytes) -> list[bytes]:
        head = b"<%d>%b%b" % (priority, _syslog_time(), tag)
        text = line.removesuffix(b"\n")
        room = max(size - len(head), 1)
        if not split:
            return [head + text[:room]]
        return [head + text[at : at + room] for at in range(0, max(len(text), 1), room)]

    return wrap


def _syslog_time() -> bytes:
    return time.strftime("%b %e %H:%M:%S").encode()
