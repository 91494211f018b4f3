"""What hooks do with others: a call to another server, a line into a named pipe.

Plain sockets: hooks run in the master as well, which has no hub. Everything here
blocks, for a minute at most.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable
from typing import Final

from geuwsgi.background.replies import decode_reply
from geuwsgi.errors import ConfigError, RemoteProtocolError
from geuwsgi.net.address import AbstractAddress, TcpAddress, UnixAddress, parse_address
from geuwsgi.protocol import uwsgi

LIMIT_S: Final = 60.0
_TIMEOUT_S: Final = 4.0
_PAUSE_S: Final = 1.0

Log = Callable[[str], None]


def parse_call(text: str) -> tuple[str, str, list[str]]:
    """Read ``function@address argument …``. Raises ValueError."""
    target, *arguments = text.split() or [""]
    name, at, address = target.partition("@")
    if not (name and at and address):
        raise ValueError(
            f"{text!r} is not function@address argument …: "
            "the application's own functions are not known where hooks run"
        )
    return name, address, arguments


def call(text: str, log: Log) -> None:
    """Call a function of another server, and log what it returns.

    Raises OSError or ValueError.
    """
    name, address, arguments = parse_call(text)
    octets = [os.fsencode(part) for part in (name, *arguments)]
    packet = uwsgi.encode_packet(uwsgi.RPC, uwsgi.encode_array(octets))
    try:
        result = decode_reply(_ask(address, packet))
    except (RemoteProtocolError, ConfigError) as exc:
        raise ValueError(str(exc)) from exc
    if result:
        log(f"{name}@{address}: {result.decode('utf-8', 'backslashreplace')}")


def retry_call(text: str, log: Log, limit_s: float = LIMIT_S) -> None:
    """As ``call``, again and again while the other server cannot be reached."""
    end = time.monotonic() + limit_s
    while True:
        try:
            call(text, log)
            return
        except OSError:
            if time.monotonic() >= end:
                raise
            time.sleep(_PAUSE_S)


def _ask(address: str, packet: bytes) -> bytes:
    found = parse_address(address)
    if isinstance(found, TcpAddress):
        where = (found.host or "127.0.0.1", found.port)
        connected = socket.create_connection(where, _TIMEOUT_S)
    elif isinstance(found, UnixAddress | AbstractAddress):
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(_TIMEOUT_S)
        name = found.path if isinstance(found, UnixAddress) else f"\0{found.name}"
        with contextlib.ExitStack() as undo:
            undo.callback(connected.close)
            connected.connect(name)
            undo.pop_all()
    else:
        raise ValueError(f"{address!r} is no address to connect to")
    with connected, connected.makefile("rb") as answer:
        connected.sendall(packet)
        return answer.read()


def write_fifo(path_and_text: str, limit_s: float = 0.0) -> None:
    """Write ``path text`` into a named pipe, waiting so long for a reader.

    Raises OSError.
    """
    path, _, text = path_and_text.partition(" ")
    end = time.monotonic() + limit_s
    while True:
        try:
            fileno = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as exc:
            if exc.errno != errno.ENXIO or time.monotonic() >= end:
                raise
            time.sleep(_PAUSE_S / 10)
    try:
        os.write(fileno, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(fileno)
