"""A blocking HTTP/1.x client that sends raw bytes and hides nothing.

For tests that must say exactly what goes over the wire and see exactly what comes
back: no header is added, joined or dropped, nothing is retried or decoded beyond
the framing of the body. Addresses are written as in a uWSGI configuration:
``127.0.0.1:8080``, ``[::1]:8080``, ``/run/site.sock``, ``@abstract``.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

_RECEIVE_SIZE = 65536


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment.

    It is taken from below the range the system picks from for outgoing
    connections, so that none of these grabs it before the server under test does.
    """
    generator = random.SystemRandom()
    while True:
        port = generator.randrange(10_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def connect(address: str, timeout: float = 10.0) -> socket.socket:
    """Return a connected blocking socket; raises OSError if nobody listens."""
    if address.startswith(("/", "@")):
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.settimeout(timeout)
            connected.connect(
                "\0" + address[1:] if address.startswith("@") else address
            )
        except OSError:
            connected.close()
            raise
        return connected
    host, _, port = address.rpartition(":")
    connected = socket.create_connection(
        (host.strip("[]") or "127.0.0.1", int(port)), timeout
    )
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


class MalformedResponse(Exception):
    """What came back is no HTTP response; the message shows the bytes."""


@dataclass(frozen=True)
class Response:
    """One response as it came, header names in the case they were sent in.

    ``complete`` is false if the connection ended before the framing said so.
    """

    version: str
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool = True

    def header(self, name: str) -> str | None:
        """The value of the first field of that name, in any case; None if absent."""
        return next(iter(self.header_values(name)), None)

    def header_values(self, name: str) -> list[str]:
        lowered = name.lower()
        return [value for key, value in self.headers if key.lower() == lowered]

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """One connection; requests are bytes, responses are read one at a time.

    >>> with Client("127.0.0.1:8080") as client:
    ...     client.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    ...     client.read_response().status
    200

    Every wait ends after ``timeout`` seconds with `TimeoutError`.
    """

    def __init__(self, address: str, timeout: float = 10.0) -> None:
        self.socket = connect(address, timeout)
        self._buffer = bytearray()
        self._ended = False

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, request: bytes) -> None:
        self.socket.sendall(request)

    def send_eof(self) -> None:
        """Tell the server that no more will come, and keep reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def request(
        self,
        target: str = "/",
        *,
        method: str = "GET",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> Response:
        """Send a plain well-formed request on this connection; return its response.

        ``Host`` is added, and ``Content-Length`` if there is a body.
        """
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in headers]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return self.read_response(to_head=method == "HEAD")

    def read_response(self, *, to_head: bool = False) -> Response:
        """Read the next response, an interim one (1xx) like any other.

        ``to_head``: it answers a HEAD request, so it has no body. Raises
        `MalformedResponse` if what comes is not HTTP or the connection ends within
        the head, TimeoutError if nothing comes.
        """
        version, status, reason, headers = self._read_head()
        fields = {name.lower(): value for name, value in headers}
        complete = True
        if to_head or status < 200 or status in (204, 304):
            body = b""
        elif "chunked" in fields.get("transfer-encoding", "").lower():
            body, complete = self._read_chunked()
        elif "content-length" in fields:
            length = int(fields["content-length"])
            body = self._take(length)
            complete = len(body) == length
        else:
            body = self.read_to_end()
        return Response(version, status, reason, headers, body, complete)

    def read_to_end(self) -> bytes:
        """Everything until the server closes; a reset counts as the end."""
        while self._receive():
            pass
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def is_closed(self, within: float = 5.0) -> bool:
        """Wait for the server to close this connection: whether it did, silently."""
        before = self.socket.gettimeout()
        self.socket.settimeout(within)
        try:
            return not self._buffer and not self._receive()
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(before)

    def pieces(self) -> Iterator[bytes]:
        """What comes, as it comes, until the server closes."""
        while self._buffer or self._receive():
            piece = bytes(self._buffer)
            self._buffer.clear()
            yield piece

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to and with ``mark``; all there was if the end came first."""
        while (at := self._buffer.find(mark)) < 0:
            if not self._receive():
                return self._take(len(self._buffer))
        return self._take(at + len(mark))

    def _read_head(self) -> tuple[str, int, str, tuple[tuple[str, str], ...]]:
        head = self.read_until(b"\r\n\r\n")
        if not head.endswith(b"\r\n\r\n"):
            raise MalformedResponse(f"the connection ended within a head: {head!r}")
        status_line, *lines = head[:-4].decode("latin-1").split("\r\n")
        version, _, rest = status_line.partition(" ")
        code, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or len(code) != 3 or not code.isdigit():
            raise MalformedResponse(f"not a status line: {status_line!r}")
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise MalformedResponse(f"not a header field: {line!r}")
            headers.append((name, value.strip(" \t")))
        return version, int(code), reason, tuple(headers)

    def _read_chunked(self) -> tuple[bytes, bool]:
        body = bytearray()
        while True:
            line = self.read_until(b"\r\n")
            if not line.endswith(b"\r\n"):
                return bytes(body), False
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                raise MalformedResponse(f"not a chunk size: {line!r}") from None
            if size == 0:
                break
            chunk = self._take(size)
            body += chunk
            if len(chunk) < size or self._take(2) != b"\r\n":
                return bytes(body), False
        while (line := self.read_until(b"\r\n")) != b"\r\n":
            if not line:
                return bytes(body), False
        return bytes(body), True

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size and self._receive():
            pass
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _receive(self) -> bool:
        if self._ended:
            return False
        try:
            received = self.socket.recv(_RECEIVE_SIZE)
        except (ConnectionResetError, BrokenPipeError):
            received = b""
        self._buffer += received
        self._ended = not received
        return bool(received)


def exchange(address: str, request: bytes, timeout: float = 10.0) -> Response:
    """Send ``request`` on a connection of its own and return the one response."""
    with Client(address, timeout) as client:
        client.send(request)
        return client.read_response(to_head=request.startswith(b"HEAD "))


def get(address: str, target: str = "/", timeout: float = 10.0) -> Response:
    """The response to a plain GET on a connection of its own."""
    with Client(address, timeout) as client:
        return client.request(target, headers=(("Connection", "close"),))
