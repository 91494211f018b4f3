"""Ask another uWSGI or geuwsgi server something over the uwsgi protocol.

Only processes that run a hub import this module.
"""

from __future__ import annotations

import gevent
import gevent.socket as sockets

TIMEOUT_S = 4.0
_MOST = 1 << 30


def ask(address: str, request: bytes, timeout_s: float = TIMEOUT_S) -> bytes:
    """Send ``request`` to ``host:port`` or a Unix socket; return all that comes back.

    The server closes the connection when it has answered. Blocks the calling greenlet.
    Raises OSError if the server cannot be reached, breaks off or is silent.
    """
    timeout = gevent.Timeout(timeout_s)
    try:
        with timeout, _connect(address) as sock:
            sock.sendall(request)
            answer = bytearray()
            while len(answer) < _MOST:
                piece = sock.recv(65536)
                if not piece:
                    return bytes(answer)
                answer += piece
            raise OSError(f"{address} does not stop talking")
    except gevent.Timeout as exc:
        if exc is not timeout:
            raise
        raise TimeoutError(f"no answer within {timeout_s:g} seconds") from None


def _connect(address: str) -> sockets.socket:
    """Connect to ``host:port``, a socket's path or ``@name``. Raises OSError."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        return sockets.create_connection((host.strip("[]") or "127.0.0.1", int(port)))
    if not address.startswith(("/", "@", ".")):
        raise OSError(f"{address!r} is neither host:port nor the path of a socket")
    sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
    except BaseException:
        sock.close()
        raise
    return sock
