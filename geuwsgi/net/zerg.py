"""Zerg mode: listening sockets that one instance gives to another (uWSGI's format).

Whoever connects to a zerg server is sent a greeting, the number of sockets, and the
sockets themselves, and the connection is closed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Sequence
from typing import Final

from geuwsgi.errors import StartupError
from geuwsgi.net.inherited import InheritedSocket, is_listening

_GREETING: Final = b"uwsgi-zerg"
_COUNT: Final = struct.Struct("<I")
_MOST_SOCKETS: Final = 128
_LIMIT_S: Final = 10.0


def give_sockets(visitor: socket.socket, filenos: Sequence[int]) -> None:
    """Send the listening sockets ``filenos``. Raises OSError."""
    message = _GREETING + _COUNT.pack(len(filenos))
    socket.send_fds(visitor, [message], filenos)


def take_sockets(path: str) -> list[InheritedSocket]:
    """Get the sockets of the zerg server at ``path``; they are the caller's.

    Blocks for a few seconds at most. Raises StartupError.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_LIMIT_S)
        try:
            connection.connect(_address(path))
            received, filenos, _, _ = socket.recv_fds(connection, 4096, _MOST_SOCKETS)
        except OSError as exc:
            reason = (exc.strerror or str(exc)).lower()
            raise StartupError(f"zerg: no sockets from {path}: {reason}") from exc
    size = len(_GREETING) + _COUNT.size
    is_whole = len(received) == size and received.startswith(_GREETING)
    if (
        not is_whole
        or _COUNT.unpack(received[len(_GREETING) :]) != (len(filenos),)
        or not all(map(is_listening, filenos))
    ):
        for fileno in filenos:
            os.close(fileno)
        raise StartupError(f"zerg: what answers at {path} is no zerg server")
    return [InheritedSocket(fileno) for fileno in filenos]


def open_server(path: str, mode: int | None) -> socket.socket:
    """Listen at ``path``, in place of what may be left there. Raises StartupError."""
    server = socket.socket(socket.AF_UNIX)
    try:
        if not path.startswith("@"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        server.bind(_address(path))
        if mode is not None and not path.startswith("@"):
            os.chmod(path, mode)
        server.listen(64)
    except OSError as exc:
        server.close()
        reason = (exc.strerror or str(exc)).lower()
        raise StartupError(f"zerg-server: cannot listen at {path}: {reason}") from exc
    server.setblocking(False)
    return server


def _address(path: str) -> str:
    return f"\0{path[1:]}" if path.startswith("@") else path
