"""A request handed to a backend, and the backend's answer to the client.

The core of the request is given back before the first wait: what is left is moving
bytes. The answer is framed anew for the client, so a backend that closes its
connection does not close the client's. If the backend switches protocols (101) both
connections are joined until one ends.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import gevent

from geuwsgi.errors import Disconnected, PeerTimeout, RemoteProtocolError
from geuwsgi.offload.upstream import Upstream, UpstreamError
from geuwsgi.protocol.chunked import ChunkedDecoder
from geuwsgi.protocol.upstream import (
    MAX_HEAD,
    ResponseHead,
    parse_response_head,
    wanted_upgrade,
)

BLOCK = 65536
_READ = 1

Headers = list[tuple[str, str]]


class ClientStream(Protocol):
    """The client's connection, once it is ours alone."""

    def recv(self, size: int, /) -> bytes: ...
    def send_all(self, octets: bytes | memoryview, /) -> None: ...
    def shutdown_write(self) -> None: ...
    def close(self) -> None: ...


class Client(Protocol):
    """What a relay needs of an exchange."""

    environ: dict[str, Any]
    received: bytes

    @property
    def method(self) -> str: ...
    @property
    def stream(self) -> Any: ...
    def release_core(self) -> None: ...
    def start_response(self, status: str, headers: Headers, /) -> object: ...
    def write(self, chunk: bytes, /) -> None: ...
    def finish(self) -> None: ...
    def hijack(self) -> ClientStream: ...


def relay(
    client: Client, upstream: Upstream, head: bytes, *, chunk_body: bool = False
) -> None:
    """Send ``head`` and the request's body to the backend; relay its answer.

    ``chunk_body`` sends the body in chunks (HTTP), for bodies without a length.
    Raises UpstreamError if the backend fails or its answer is none; the client has
    been told nothing then, unless ``headers_sent`` says so. Raises RemoteProtocolError
    if the client's body is malformed, Disconnected if the client goes away, also while
    the backend is silent. The caller closes ``upstream``.
    """
    client.release_core()
    try:
        upstream.send_all(head)
        _send_body(client, upstream, chunk_body=chunk_body)
    except PeerTimeout:
        raise UpstreamError("the backend does not take the request") from None
    except Disconnected as exc:
        # It may have answered without waiting for the body: look.
        failure: Disconnected | None = exc
    else:
        failure = None
    watch = ClientWatch(client.stream, upstream)
    try:
        response, rest = _read_head(upstream, failure)
        if response.code == 101:
            if not wanted_upgrade(client.environ):
                # What the client sends next would reach the backend unread.
                raise UpstreamError("the backend switches protocols, unasked")
            watch.stop()
            _join(client, upstream, response, rest)
            return
        has_body = client.method != "HEAD" and response.code not in (204, 304)
        pieces = _body_of(upstream, response, rest) if has_body else iter(())
        # Before the client is told anything: without the first piece there may be
        # another backend that answers.
        first = next(pieces, b"")
        client.start_response(response.status, response.end_to_end_fields())
        client.write(first)
        for piece in pieces:
            client.write(piece)
        client.finish()
    except UpstreamError:
        if watch.is_gone:
            raise Disconnected("the client closed the connection") from None
        raise
    finally:
        watch.stop()


class ClientWatch:
    """Closes ``upstream`` when the client of ``stream`` goes away.

    Who waits for a backend does not read from the client: without this a backend that
    has nothing to say, to thousands of visitors that are gone, would be waited for. As
    in nginx, a client that closes its half of the connection counts as gone. Bytes of
    the client's, a next request or TLS's farewell, end the watch: what they are cannot
    be known here.
    """

    __slots__ = ("_socket", "_stream", "_upstream", "_watcher", "is_gone")

    def __init__(self, stream: Any, upstream: Upstream) -> None:
        self.is_gone = False
        self._upstream = upstream
        self._watcher: Any = None
        self._stream = stream
        # A stream of HTTP/2 has no socket of its own; it tells.
        self._socket: Any = getattr(stream, "socket", None)
        if self._socket is None and hasattr(stream, "on_failure"):
            stream.on_failure = self._leave
        if self._socket is not None and stream.fileno() >= 0:
            self._watcher = gevent.get_hub().loop.io(stream.fileno(), _READ)
            self._watcher.start(self._look)

    def stop(self) -> None:
        """End the watch. Idempotent."""
        if self._socket is None and hasattr(self._stream, "on_failure"):
            self._stream.on_failure = None
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
            watcher.close()

    def _look(self) -> None:
        try:
            self.is_gone = not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self.is_gone = True
        self.stop()
        if self.is_gone:
            self._upstream.close()

    def _leave(self) -> None:
        self.is_gone = True
        self._upstream.close()


def _send_body(client: Client, upstream: Upstream, *, chunk_body: bool) -> None:
    read: Callable[[int], bytes] = client.environ["wsgi.input"].read
    if chunk_body:
        while block := read(BLOCK):
            upstream.send_all(b"%x\r\n%b\r\n" % (len(block), block))
        upstream.send_all(b"0\r\n\r\n")
        return
    announced = str(client.environ.get("CONTENT_LENGTH") or 0)
    left = int(announced) if announced.isascii() and announced.isdigit() else 0
    while block := read(BLOCK):
        left -= len(block)
        if left < 0:
            # The backend would take the rest for another request.
            raise RemoteProtocolError(
                f"a request body longer than its CONTENT_LENGTH, {announced[:40]!r}"
            )
        upstream.send_all(block)


def _read_head(
    upstream: Upstream, failure: Disconnected | None
) -> tuple[ResponseHead, bytes]:
    received = b""
    interim = 0
    while True:
        end, length = _end_of_head(received)
        if end >= 0:
            try:
                response = parse_response_head(received[:end])
            except RemoteProtocolError as exc:
                raise UpstreamError(str(exc)) from exc
            received = received[end + length :]
            # Interim answers were for us: the client's 100 is the server's to send.
            if response.code >= 200 or response.code == 101:
                return response, received
            interim += end
            if interim > MAX_HEAD:
                raise UpstreamError("the backend has no end of interim answers")
            continue
        if len(received) > MAX_HEAD:
            raise UpstreamError("the head of the backend's answer is too long")
        try:
            block = upstream.recv(BLOCK)
        except PeerTimeout:
            raise UpstreamError("the backend does not answer") from None
        except Disconnected as exc:
            raise UpstreamError(f"the backend is gone: {failure or exc}") from exc
        if not block:
            raise UpstreamError("the backend closed the connection without an answer")
        received += block


def _end_of_head(received: bytes) -> tuple[int, int]:
    crlf = received.find(b"\r\n\r\n")
    lf = received.find(b"\n\n")
    if crlf >= 0 and (lf < 0 or crlf < lf):
        return crlf, 4
    return lf, 2


def _body_of(
    upstream: Upstream, response: ResponseHead, rest: bytes
) -> Iterator[bytes]:
    """The pieces of a body, none of them empty. Raises UpstreamError."""
    if response.chunked:
        yield from _chunked_body(upstream, rest)
    elif response.length >= 0:
        left = response.length
        while left:
            rest = rest or _recv_or_cut(upstream)
            if not rest:
                raise UpstreamError(f"the backend closed {left} bytes too early")
            rest = rest[:left]
            left -= len(rest)
            yield rest
            rest = b""
    else:
        while rest := rest or _recv_or_cut(upstream):
            yield rest
            rest = b""


def _chunked_body(upstream: Upstream, rest: bytes) -> Iterator[bytes]:
    decoder = ChunkedDecoder()
    while True:
        try:
            piece = decoder.feed(rest)
        except RemoteProtocolError as exc:
            raise UpstreamError(f"in the backend's answer: {exc}") from exc
        if piece:
            yield piece
        if decoder.complete:
            return
        rest = _recv_or_cut(upstream)
        if not rest:
            raise UpstreamError("the backend closed before the last chunk")


def _recv_or_cut(upstream: Upstream) -> bytes:
    try:
        return upstream.recv(BLOCK)
    except Disconnected as exc:
        # Not the client's doing, so not to be taken for it.
        raise UpstreamError(f"the backend broke off: {exc}") from exc


def _join(
    client: Client, upstream: Upstream, response: ResponseHead, rest: bytes
) -> None:
    stream = client.hijack()
    upstream.timeout = 0  # what was agreed on may be silent as long as it likes
    fields = "".join(f"{name}: {value}\r\n" for name, value in response.fields)
    head = f"HTTP/1.1 {response.status}\r\n{fields}\r\n"
    stream.send_all(head.encode("latin-1") + rest)
    join_streams(stream, upstream, client.received)


def join_streams(client: Any, backend: Any, first: bytes = b"") -> None:
    """Move bytes both ways until the backend has no more to say, and close the client.

    ``first`` was read from the client already. Blocks.
    """
    upwards = gevent.spawn(_pump, first, client, backend)
    try:
        _pump(b"", backend, client)
    finally:
        # The backend has nothing more to say: nobody is left to send to.
        client.close()
        upwards.join()


def _pump(first: bytes, source: Any, sink: Any) -> None:
    try:
        block = first
        while True:
            if block:
                sink.send_all(block)
            block = source.recv(BLOCK)
            if not block:
                break
    except Disconnected:
        sink.close()  # one end is gone: the other has nobody to talk to
    else:
        sink.shutdown_write()
