"""``wsgi.input``: the body of a request as a file (PEP 3333).

Reading ends where the body ends, whether its length was announced or it came in
chunks, so ``read()`` is always safe and ``wsgi.input_terminated`` is true. Nothing
is read before the application asks.

``read(0)`` and ``read(-1)`` differ as they do for files; uWSGI reads everything for
both, which nobody can want of 0.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from geuwsgi.errors import Disconnected, RemoteProtocolError
from geuwsgi.protocol.chunked import ChunkedDecoder

_BLOCK = 65536


class ByteSource(Protocol):
    """What bodies are read from: a stream whose deadline has been set."""

    def recv(self, size: int) -> bytes: ...
    def fileno(self) -> int: ...


class InputError(Disconnected, OSError):
    """The rest of the body will not come.

    An OSError as well, because that is what applications expect of a file.
    """


class EmptyInput:
    """The body of a request that has none. It has no state: one serves all."""

    __slots__ = ()

    def read(self, size: int | None = -1) -> bytes:
        return b""

    def readline(self, size: int | None = -1) -> bytes:
        return b""

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        return []

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def tell(self) -> int:
        return 0

    def close(self) -> None:
        """Do nothing; the connection is not the application's to close."""


class BodyInput:
    """A body that is still on the wire.

    ``source`` is read when ``received``, the bytes that came with the head, are used
    up. ``before_first_read`` is called once before that (to send 100 Continue);
    ``extend_deadline`` before each read that may wait. ``on_received`` is told how many
    bytes came, framing included, with each read.

    After the body, ``leftover`` holds what belongs to the next request. A body that
    ``failed`` has no end that could be found: its connection can only be closed.
    ``arrived`` counts the bytes that were waited for. ``after_wait``, where somebody has
    set it, is called when some of them have come.
    """

    __slots__ = (
        "_buffer",
        "_extend_deadline",
        "_position",
        "_source",
        "after_wait",
        "arrived",
        "before_first_read",
        "complete",
        "failed",
        "on_received",
    )

    def __init__(
        self,
        source: ByteSource,
        *,
        before_first_read: Callable[[], None] | None,
        extend_deadline: Callable[[], None],
    ) -> None:
        self._source = source
        self._buffer = b""
        self._position = 0
        self._extend_deadline = extend_deadline
        self.before_first_read = before_first_read
        self.arrived = 0
        self.after_wait: Callable[[], None] | None = None
        self.on_received: Callable[[int], None] | None = None
        self.complete = False
        self.failed = False

    # What the two kinds of framing differ in.

    def _receive(self, wanted: int) -> bytes:
        """Return some more of the body, b"" at its end; ``wanted`` is a hint."""
        raise NotImplementedError

    @property
    def leftover(self) -> bytes:
        raise NotImplementedError

    def _recv(self, size: int) -> bytes:
        if self.before_first_read is not None:
            self.before_first_read()
            self.before_first_read = None
        self._extend_deadline()
        try:
            received = self._source.recv(size)
        except Disconnected as exc:
            self.failed = True
            raise InputError(f"error while reading the request body: {exc}") from exc
        if not received:
            self.failed = True
            raise InputError("the client closed before the end of the request body")
        self.arrived += len(received)
        if self.after_wait is not None:
            self.after_wait()
        if self.on_received is not None:
            self.on_received(len(received))
        return received

    # The file interface.

    def read(self, size: int | None = -1) -> bytes:
        """Return ``size`` bytes, fewer only at the end of the body.

        Raises OSError if the client goes away or is silent for too long.
        """
        if size is None or size < 0:
            return self._read_all()
        buffer = self._buffer
        if len(buffer) >= size:
            self._buffer = buffer[size:]
            self._position += size
            return buffer[:size]
        pieces = [buffer]
        have = len(buffer)
        self._buffer = b""
        while have < size and not self.complete:
            piece = self._receive(size - have)
            pieces.append(piece)
            have += len(piece)
        taken = b"".join(pieces)
        if have > size:
            self._buffer = taken[size:]
            taken = taken[:size]
        self._position += len(taken)
        return taken

    def _read_all(self) -> bytes:
        pieces = [self._buffer]
        self._buffer = b""
        while not self.complete:
            pieces.append(self._receive(_BLOCK))
        taken = b"".join(pieces)
        self._position += len(taken)
        return taken

    def read1(self, size: int = -1) -> bytes:
        """Return what is there, at most ``size`` bytes; b"" at the end only."""
        if size == 0:
            return b""
        limit = size if size > 0 else _BLOCK
        while not self._buffer and not self.complete:
            self._buffer = self._receive(limit)
        taken = self._buffer[:limit]
        self._buffer = self._buffer[limit:]
        self._position += len(taken)
        return taken

    def readline(self, size: int | None = -1) -> bytes:
        """Return one line with its newline, at most ``size`` bytes of it."""
        limit = -1 if size is None else size
        buffer = self._buffer
        end = buffer.find(b"\n") + 1
        if not (end or self.complete or 0 <= limit <= len(buffer)):
            buffer, end = self._receive_line(buffer, limit)
        if not end:
            end = len(buffer)
        if 0 <= limit < end:
            end = limit
        self._buffer = buffer[end:]
        self._position += end
        return buffer[:end]

    def _receive_line(self, buffer: bytes, limit: int) -> tuple[bytes, int]:
        """Receive until a line ends; return all there is and where the line ends.

        The pieces are joined once: a line may be as long as the body.
        """
        pieces = [buffer]
        have = len(buffer)
        end = 0
        self._buffer = b""
        while not (end or self.complete or 0 <= limit <= have):
            piece = self._receive(_BLOCK)
            if at := piece.find(b"\n") + 1:
                end = have + at
            pieces.append(piece)
            have += len(piece)
        return b"".join(pieces), end

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        lines: list[bytes] = []
        total = 0
        for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def tell(self) -> int:
        """Return how many bytes of the body have been read."""
        return self._position

    def fileno(self) -> int:
        return self._source.fileno()

    def close(self) -> None:
        """Do nothing; the connection is not the application's to close."""

    def discard(self, limit: int) -> bool:
        """Read and forget the rest; False if that would be more than ``limit``."""
        if self.failed:
            return False
        self._buffer = b""
        while not self.complete:
            limit -= len(self._receive(_BLOCK))
            if limit < 0:
                return False
        return True


class LengthInput(BodyInput):
    """A body of ``length`` bytes, some of which, ``received``, are here."""

    __slots__ = ("_leftover", "_remaining")

    def __init__(
        self,
        source: ByteSource,
        length: int,
        received: bytes,
        *,
        before_first_read: Callable[[], None] | None,
        extend_deadline: Callable[[], None],
    ) -> None:
        super().__init__(
            source,
            before_first_read=before_first_read,
            extend_deadline=extend_deadline,
        )
        if len(received) >= length:
            self._buffer = received[:length]
            self._leftover = received[length:]
            self._remaining = 0
            self.complete = True
        else:
            self._buffer = received
            self._leftover = b""
            self._remaining = length - len(received)

    @property
    def leftover(self) -> bytes:
        return self._leftover

    def discard(self, limit: int) -> bool:
        return self._remaining <= limit and super().discard(limit)

    @property
    def available(self) -> int:
        """How many bytes are here and were not read yet."""
        return len(self._buffer)

    @property
    def remaining(self) -> int:
        """How many bytes have not come yet."""
        return self._remaining

    def fill(self, most: int) -> None:
        """Receive now until ``most`` bytes are here, or the body if it is shorter.

        The caller has set the source's deadline. Raises Disconnected, PeerTimeout if
        they do not come in time.
        """
        pieces = [self._buffer]
        wanted = min(self._remaining, most - len(self._buffer))
        while wanted > 0:
            received = self._source.recv(wanted)
            if not received:
                raise Disconnected("the client closed within the request body")
            pieces.append(received)
            wanted -= len(received)
            self._remaining -= len(received)
        self._buffer = b"".join(pieces)
        self.complete = not self._remaining

    def _receive(self, wanted: int) -> bytes:
        # Never past the end, so nothing of the next request is read here.
        received = self._recv(min(self._remaining, max(wanted, _BLOCK)))
        self._remaining -= len(received)
        self.complete = not self._remaining
        return received


class UnboundInput(BodyInput):
    """A body that ends where its source ends (FastCGI's empty STDIN record)."""

    __slots__ = ("_left", "_limited")

    def __init__(
        self,
        source: ByteSource,
        *,
        before_first_read: Callable[[], None] | None,
        extend_deadline: Callable[[], None],
        limit: int,
    ) -> None:
        super().__init__(
            source,
            before_first_read=before_first_read,
            extend_deadline=extend_deadline,
        )
        self._limited = limit > 0
        self._left = limit

    @property
    def leftover(self) -> bytes:
        return b""

    def _receive(self, wanted: int) -> bytes:
        self._extend_deadline()
        try:
            received = self._source.recv(wanted)
        except Disconnected as exc:
            self.failed = True
            raise InputError(f"error while reading the request body: {exc}") from exc
        except RemoteProtocolError:
            self.failed = True
            raise
        self.complete = not received
        self.arrived += len(received)
        if self.after_wait is not None:
            self.after_wait()
        self._left -= len(received)
        if self._limited and self._left < 0:
            self.failed = True
            raise RemoteProtocolError("request body too large", 413)
        return received


class ChunkedInput(BodyInput):
    """A chunked body, at most ``limit`` bytes of data (0: no limit)."""

    __slots__ = ("_decoder", "_left", "_limited", "_pending")

    def __init__(
        self,
        source: ByteSource,
        received: bytes,
        limit: int,
        *,
        before_first_read: Callable[[], None] | None,
        extend_deadline: Callable[[], None],
    ) -> None:
        super().__init__(
            source,
            before_first_read=before_first_read,
            extend_deadline=extend_deadline,
        )
        self._decoder = ChunkedDecoder()
        self._pending = received
        self._limited = limit > 0
        self._left = limit

    @property
    def leftover(self) -> bytes:
        return self._decoder.leftover

    def hand_over(self) -> tuple[ChunkedDecoder, bytes]:
        """Let the caller read the body instead: its decoder, and what came of it.

        The caller sets ``complete`` at the end. Not after the first read.
        """
        pending = self._pending
        self._pending = b""
        return self._decoder, pending

    def fill(self, most: int) -> None:
        """Receive now until ``most`` bytes are here, or all. See `LengthInput.fill`.

        They stay as they came, for who wants the chunks; what is wrong with them is
        told when they are read.
        """
        probe = ChunkedDecoder()
        pieces = []
        received = self._pending
        with contextlib.suppress(RemoteProtocolError):
            while True:
                pieces.append(received)
                probe.feed(received)
                most -= len(received)
                if probe.complete or most <= 0:
                    break
                received = self._source.recv(_BLOCK)
                if not received:
                    raise Disconnected("the client closed within the request body")
        self._pending = b"".join(pieces)

    def _receive(self, wanted: int) -> bytes:
        pending = self._pending
        if pending:
            self._pending = b""
        else:
            pending = self._recv(_BLOCK)
        try:
            data = self._decoder.feed(pending)
        except RemoteProtocolError:
            self.failed = True
            raise
        self.complete = self._decoder.complete
        if self._limited:
            self._left -= len(data)
            # Not only when it has come: who announces more is refused at once.
            if self._left < self._decoder.announced:
                self.failed = True
                raise RemoteProtocolError("request body too large", 413)
        return data
