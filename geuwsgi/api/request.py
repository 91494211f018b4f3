"""The running request, as the ``uwsgi`` module shows it.

What uWSGI offers for waiting blocks nothing here but the calling greenlet, and works
under gevent, which it does not there.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import gevent

from geuwsgi.api.basic import as_bytes, require_exchange
from geuwsgi.errors import Disconnected, ProtocolError
from geuwsgi.shared import scoreboard
from geuwsgi.wsgi.chunks import ChunkReader
from geuwsgi.wsgi.input import BodyInput, ChunkedInput

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.server.exchange import Exchange

_BLOCK = 65536


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions of this part."""
    websockets = context.configuration.settings.websockets
    timeout = (
        websockets.chunked_input_timeout
        or context.configuration.settings.sockets.socket_timeout
    )
    chunks = _Chunks(websockets.chunked_input_limit, timeout)
    for function in (
        connection_fd,
        cl,
        request_id,
        disconnect,
        add_var,
        sendfile,
        offload,
        set_user_harakiri,
        chunks.chunked_read,
        chunks.chunked_read_nb,
    ):
        setattr(module, function.__name__, function)


def connection_fd(*_ignored: object) -> int:
    """Return the descriptor of the client's connection."""
    exchange = require_exchange()
    if exchange.upgrade is not None:
        return int(exchange.upgrade.descriptor())
    return exchange.stream.fileno()


def cl() -> int:
    """Return the Content-Length of the request, 0 without one."""
    return int(require_exchange().environ.get("CONTENT_LENGTH") or 0)


def request_id() -> int:
    """Return how many requests this worker has answered."""
    return int(require_exchange().site.counters[scoreboard.REQUESTS])


def disconnect(*_ignored: object, request_context: Exchange | None = None) -> None:
    """Close the client's connection now; an open websocket with a close frame."""
    exchange = request_context or require_exchange()
    upgrade = exchange.upgrade
    if upgrade is not None and upgrade.websocket is not None:
        upgrade.websocket.close()
        return
    exchange.keep_alive = False
    exchange.stream.shutdown_write()
    exchange.stream.close()


def add_var(name: str | bytes, value: str | bytes) -> bool:
    """Add a variable to the request, for what comes after the application."""
    key = as_bytes(name).decode("latin-1")
    require_exchange().environ[key] = as_bytes(value).decode("latin-1")
    return True


def set_user_harakiri(seconds: int) -> None:
    """End this request in ``seconds`` from now; 0: never."""
    if not isinstance(seconds, int):
        raise TypeError(
            f"{type(seconds).__name__!r} object cannot be interpreted as an integer"
        )
    require_exchange().set_deadline(seconds)


def offload(*_ignored: object) -> bytes:
    """Return b"", as uWSGI does."""
    return b""


def sendfile(
    file: str | bytes | Any, chunk: int = 0, pos: int = 0, size: int = 0
) -> bool | None:
    """Send ``size`` bytes (0: all) of a file from ``pos`` as the response's body.

    True, or None if the file cannot be opened. Without ``start_response`` before it
    the file is all that the client gets. The file is left open if it was.
    """
    exchange = require_exchange()
    opened = -1
    if isinstance(file, str | bytes):
        try:
            fd = opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            exchange.site.report(f"uwsgi.sendfile: cannot open {file!r}: {error}")
            return None
    elif isinstance(file, int):
        fd = file
    elif hasattr(file, "fileno"):
        fd = file.fileno()
    else:
        raise TypeError(f"a path or a file is required, not {type(file).__name__}")
    try:
        if exchange.head is None and not exchange.headers_sent:
            exchange.write_raw(b"")
        count = size or max(0, os.fstat(fd).st_size - pos)
        exchange.send_file(fd, pos, count)
    finally:
        if opened >= 0:
            os.close(opened)
    return True


class _Chunks:
    """``chunked_read`` and its sibling. A reader lives as long as its exchange."""

    def __init__(self, limit: int, timeout: float) -> None:
        self._limit = limit
        self._timeout = timeout
        self._readers: WeakKeyDictionary[Exchange, ChunkReader] = WeakKeyDictionary()

    def chunked_read(self, timeout: int = 0) -> bytes:
        """Return the next chunk of the body, b"" at its end.

        OSError after ``timeout`` seconds (0: chunked-input-timeout), and for a body
        that is malformed or has too large a chunk. A body that did not come in chunks
        is given in the pieces in which it arrives.
        """
        if not isinstance(timeout, int):
            raise TypeError(
                f"{type(timeout).__name__!r} object cannot be interpreted as an integer"
            )
        exchange = require_exchange()
        body = exchange.input
        timer = gevent.Timeout(timeout or self._timeout)
        try:
            with timer:
                if isinstance(body, ChunkedInput):
                    return self._reader(exchange, body).read()
                return body.read1(_BLOCK) if isinstance(body, BodyInput) else b""
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
            raise OSError("unable to receive chunked part: timeout") from None
        except (Disconnected, ProtocolError) as error:
            exchange.keep_alive = False
            raise OSError(f"unable to receive chunked part: {error}") from error

    def chunked_read_nb(self) -> bytes | None:
        """As ``chunked_read``, but return None where that would wait for a chunk."""
        exchange = require_exchange()
        body = exchange.input
        try:
            if isinstance(body, ChunkedInput):
                return self._reader(exchange, body).read_nowait()
            return body.read1(_BLOCK) if isinstance(body, BodyInput) else b""
        except (Disconnected, ProtocolError) as error:
            exchange.keep_alive = False
            raise OSError(f"unable to receive chunked part: {error}") from error

    def _reader(self, exchange: Exchange, body: ChunkedInput) -> ChunkReader:
        reader = self._readers.get(exchange)
        if reader is None:
            reader = ChunkReader(body, exchange.stream, self._limit)
            self._readers[exchange] = reader
        return reader
