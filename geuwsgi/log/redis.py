"""Log lines to a Redis server (uWSGI: redislog)."""

from __future__ import annotations

import collections
import contextlib
import socket

from geuwsgi.errors import ConfigError
from geuwsgi.log.outlet import KEPT_BYTES
from geuwsgi.log.sinks import Unnamed, resolve


class RedisSink(Unnamed):
    """Sends each line to a Redis server as the last argument of a command.

    ``command`` is what comes before (``rpush logs``), ``prefix`` begins each line. Lines
    are kept while the server is away, up to a limit. Nothing waits: the connection is
    made, and made again, in the background of the caller's ticks.
    """

    def __init__(self, address: str, command: str, prefix: str) -> None:
        self.dropped = 0
        self._words = [word.encode() for word in command.split()]
        if not self._words:
            raise ConfigError("redislog: the command is empty")
        self._prefix = prefix.encode()
        self._family: int
        self._target: str | tuple[str, int]
        host, _, port = address.rpartition(":")
        if address.startswith("/"):
            self._family, self._target = socket.AF_UNIX, address
        else:
            self._family, self._target = resolve(address, host, port)
        self._socket: socket.socket | None = None
        self._kept: collections.deque[bytes] = collections.deque()
        self._kept_bytes = 0
        # How much of the first kept command went out on this connection.
        self._sent = 0
        self._connect()

    def write(self, line: bytes) -> None:
        """See Sink."""
        command = _command([*self._words, self._prefix + line.removesuffix(b"\n")])
        if self._kept_bytes + len(command) > KEPT_BYTES:
            self.dropped += 1
            return
        self._kept.append(command)
        self._kept_bytes += len(command)
        self._flush()

    def tick(self) -> None:
        """See Sink."""
        if self._socket is None:
            self._connect()
        self._flush()

    def reopen(self) -> None:
        """See Sink."""
        self._lose()
        self._connect()

    def close(self) -> None:
        """See Sink."""
        self._flush()
        self._lose()

    def _connect(self) -> None:
        opened = socket.socket(self._family, socket.SOCK_STREAM)
        opened.setblocking(False)
        try:
            opened.connect(self._target)
        except BlockingIOError:
            pass  # under way: the first send tells what became of it
        except OSError:
            opened.close()
            return
        self._socket = opened

    def _flush(self) -> None:
        while self._kept and self._socket is not None:
            try:
                self._read_replies(self._socket)
                first = self._kept[0]
                self._sent += self._socket.send(first[self._sent :])
            except BlockingIOError:
                return
            except OSError:
                self._lose()
                return
            if self._sent == len(first):
                self._forget_first()

    @staticmethod
    def _read_replies(connected: socket.socket) -> None:
        """Take what came: nobody asks for it, but it must not fill the socket."""
        with contextlib.suppress(BlockingIOError):
            if not connected.recv(65536):
                raise ConnectionResetError

    def _forget_first(self) -> None:
        self._kept_bytes -= len(self._kept.popleft())
        self._sent = 0

    def _lose(self) -> None:
        if self._socket is None:
            return
        self._socket.close()
        self._socket = None
        if self._sent:
            # Whether the server took it is unknown; it is not sent twice.
            self._forget_first()
            self.dropped += 1


def _command(words: list[bytes]) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)
