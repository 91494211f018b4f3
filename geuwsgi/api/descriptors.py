"""Descriptors and waiting, as the ``uwsgi`` module offers them.

uWSGI's asynchronous style: say what to wait for (``wait_fd_read``), give the core to
others (``suspend``, or yield an empty piece), then ask what happened (``ready_fd``).
Here it works under gevent: ``suspend`` parks the greenlet until something happens.
"""

from __future__ import annotations

import _socket  # plain sockets, whether the application's are patched or not
import contextlib
import errno
import os
import socket
from select import POLLIN, POLLOUT
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import gevent
import gevent.select
import gevent.socket
from gevent.socket import wait_write

from geuwsgi.api.basic import as_bytes, require_exchange
from geuwsgi.errors import Disconnected

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.server.exchange import Exchange

_READ = 1
_WRITE = 4
_RECV_LIMIT = 4096


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions of this part."""
    waits = _Waits()
    for function in (
        waits.wait_fd_read,
        waits.wait_fd_write,
        waits.suspend,
        waits.ready_fd,
        async_sleep,
        async_connect,
        connect,
        send,
        recv,
        close,
        is_connected,
    ):
        setattr(module, function.__name__, function)
    setattr(module, "green_schedule", waits.suspend)  # noqa: B010


class _Wait:
    """What one request waits for; ``ready`` is the descriptor that ended it."""

    __slots__ = ("events", "limit_s", "ready")

    def __init__(self) -> None:
        self.events: dict[int, int] = {}
        self.limit_s = 0  # 0: for ever
        self.ready = -1


class _Waits:
    """The waits of all requests. Each ends with its exchange."""

    def __init__(self) -> None:
        self._waits: WeakKeyDictionary[Exchange, _Wait] = WeakKeyDictionary()

    def wait_fd_read(self, fd: int, timeout: int = 0) -> bytes:
        """Have ``suspend`` wait until ``fd`` can be read, at most ``timeout`` s."""
        return self._add(fd, _READ, timeout)

    def wait_fd_write(self, fd: int, timeout: int = 0) -> bytes:
        """Have ``suspend`` wait until ``fd`` can be written, at most ``timeout`` s."""
        return self._add(fd, _WRITE, timeout)

    def _add(self, fd: int, events: int, timeout: int) -> bytes:
        for number in (fd, timeout):
            _check_integer(number)
        try:
            os.fstat(fd)
        except OSError:
            raise OSError(f"unable to fd {fd} to the event queue") from None
        exchange = require_exchange()
        wait = self._waits.get(exchange)
        if wait is None:
            wait = self._waits[exchange] = _Wait()
            exchange.wait = self.suspend
        wait.events[fd] = wait.events.get(fd, 0) | events
        if timeout > 0 and (not wait.limit_s or timeout < wait.limit_s):
            wait.limit_s = timeout
        return b""

    def suspend(self) -> bool:
        """Let others run until one of the descriptors is ready or time is up.

        Without descriptors, let others run once. The request's environ tells in
        ``x-wsgiorg.fdevent.timeout`` whether time was up.
        """
        exchange = require_exchange()
        wait = self._waits.get(exchange)
        if wait is None or not wait.events:
            gevent.sleep(0)
            return True
        poll = gevent.select.poll()
        for fd, events in wait.events.items():
            poll.register(
                fd,
                (POLLIN if events & _READ else 0) | (POLLOUT if events & _WRITE else 0),
            )
        limit_s = wait.limit_s
        wait.events = {}
        wait.limit_s = 0
        ready = poll.poll(limit_s * 1000 if limit_s else None)
        wait.ready = ready[0][0] if ready else -1
        exchange.environ["x-wsgiorg.fdevent.timeout"] = None if ready else True
        return True

    def ready_fd(self) -> int:
        """Return the descriptor that ended the last ``suspend``, -1 if time did."""
        wait = self._waits.get(require_exchange())
        return wait.ready if wait is not None else -1


def async_sleep(seconds: float) -> bytes:
    """Let others run for ``seconds``."""
    gevent.sleep(max(0.0, float(seconds) if seconds else 0.0))
    return b""


def connect(address: str, timeout: int = 0) -> int:
    """Connect to ``host:port`` or a Unix socket's path; return a descriptor or -1.

    Parks the greenlet, at most ``timeout`` seconds (0: as long as it takes). The
    descriptor does not block; ``uwsgi.recv`` and ``uwsgi.send`` wait for it.
    """
    try:
        sock, target = _unconnected(address)
    except (OSError, ValueError):
        return -1
    waiting = gevent.socket.socket(sock.family, sock.type, fileno=sock.detach())
    waiting.settimeout(timeout or None)
    try:
        waiting.connect(target)
    except OSError:
        waiting.close()
        return -1
    return int(waiting.detach())


def async_connect(address: str) -> int:
    """Begin to connect; return the descriptor or -1. Wait until it can be written."""
    try:
        sock, target = _unconnected(address)
        sock.setblocking(False)
        begun = sock.connect_ex(target)
    except (OSError, ValueError):
        return -1
    if begun not in (0, errno.EINPROGRESS):
        sock.close()
        return -1
    return sock.detach()


def _unconnected(address: str) -> tuple[_socket.socket, Any]:
    if not isinstance(address, str):
        raise TypeError(f"argument 1 must be str, not {type(address).__name__}")
    host, colon, port = address.rpartition(":")
    if not colon:
        if not address.startswith(("/", "@", ".")):
            raise ValueError(f"address without a port: {address!r}")
        name = "\0" + address[1:] if address.startswith("@") else address
        return _socket.socket(socket.AF_UNIX), name
    family, kind, protocol, _, target = gevent.socket.getaddrinfo(
        host.strip("[]") or "127.0.0.1", int(port), type=socket.SOCK_STREAM
    )[0]
    return _socket.socket(family, kind, protocol), target


def send(*arguments: Any) -> bool | None:
    """``send(octets)``: write to the client as it is, without a head.
    ``send(fd, octets)``: write to a descriptor. True, or None on error.
    """
    exchange = require_exchange()
    if len(arguments) == 1:
        octets = arguments[0]
        if isinstance(octets, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        try:
            exchange.write_raw(as_bytes(octets))
        except Disconnected:
            return None
        return True
    fd, octets = arguments
    _check_integer(fd)
    rest = memoryview(as_bytes(octets))
    try:
        while rest:
            try:
                rest = rest[os.write(fd, rest) :]
            except BlockingIOError:
                wait_write(fd)
    except OSError:
        return None
    return True


def recv(fd: int, size: int = _RECV_LIMIT) -> bytes | None:
    """Return at most ``size`` bytes (4096 at most) of ``fd``; None: end or error.

    Parks the greenlet until there is something.
    """
    require_exchange()
    _check_integer(fd)
    try:
        os.fstat(fd)
        poll = gevent.select.poll()
        poll.register(fd, POLLIN)
        poll.poll()
        return os.read(fd, min(size, _RECV_LIMIT)) or None
    except OSError:
        return None


def close(fd: int) -> None:
    """Close a descriptor; nothing happens if it is none."""
    _check_integer(fd)
    with contextlib.suppress(OSError, OverflowError, ValueError):
        os.close(fd)


def is_connected(fd: int) -> bool:
    """Whether ``fd`` is a socket whose peer is there."""
    _check_integer(fd)
    try:
        sock = _socket.socket(fileno=os.dup(fd))
    except (OSError, OverflowError):
        return False
    try:
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return False
        flags = socket.MSG_PEEK | socket.MSG_DONTWAIT
        return bool(sock.recv(1, flags))
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        sock.close()


def _check_integer(value: object) -> None:
    if not isinstance(value, int):
        raise TypeError(
            f"{type(value).__name__!r} object cannot be interpreted as an integer"
        )
