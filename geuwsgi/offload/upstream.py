"""Connections to backends."""

from __future__ import annotations

import _socket
import errno
import os
import socket
from typing import Any

import gevent.socket

from geuwsgi.errors import Disconnected, GeuwsgiError, PeerTimeout
from geuwsgi.net.address import (
    AbstractAddress,
    Address,
    TcpAddress,
    UnixAddress,
)
from geuwsgi.net.stream import Stream

#: After so many bytes without a wait others have their turn; a read of few bytes costs
#: as much as one of ``_ONE_READ``.
_ONE_GO = 1 << 18
_ONE_READ = 1 << 12


class UpstreamError(GeuwsgiError):
    """A backend cannot be reached, or does not answer as it should."""


class Upstream:
    """A connection to a backend.

    Whoever waits for it longer than ``timeout`` gets PeerTimeout; 0 waits for ever.
    """

    __slots__ = ("_in_one_go", "_timer", "stream", "timeout")

    def __init__(self, stream: Stream, hub: Any, timeout: float) -> None:
        self.stream = stream
        self.timeout = timeout
        # One timer for the life of the connection; starting it again is cheap.
        self._timer: Any = hub.loop.timer(max(timeout, 0.001))
        self._in_one_go = 0

    def recv(self, size: int) -> bytes:
        """See ``Stream.recv``. Who always has something to say is not alone heard."""
        self._start_timer()
        try:
            received = self.stream.recv(size)
        finally:
            self._stop_timer()
        self._in_one_go += max(len(received), _ONE_READ)
        if self._in_one_go >= _ONE_GO:
            self._in_one_go = 0
            self.stream.let_others_run()
        return received

    def send_all(self, octets: bytes | memoryview) -> None:
        """See ``Stream.send_all``."""
        self._start_timer()
        try:
            self.stream.send_all(octets)
        finally:
            self._stop_timer()

    def wait_writable(self) -> None:
        """Park the greenlet until the connection takes bytes."""
        self._start_timer()
        try:
            self.stream.wait_writable()
        finally:
            self._stop_timer()

    def shutdown_write(self) -> None:
        """Tell the backend that nothing more comes."""
        self.stream.shutdown_write()

    def close(self) -> None:
        """Close the connection. Idempotent."""
        if not self.stream.closed:
            self._timer.stop()
            self._timer.close()
            self.stream.close()

    def _start_timer(self) -> None:
        if self.timeout > 0:
            self._timer.stop()
            self._timer.start(self.stream.expire)

    def _stop_timer(self) -> None:
        # Closed by another greenlet meanwhile, the timer is no more.
        if not self.stream.closed:
            self._timer.stop()


class Connector:
    """Opens connections to backends from the greenlets of one hub."""

    def __init__(
        self, hub: Any, *, connect_timeout: float = 5.0, timeout: float = 60.0
    ) -> None:
        self._hub = hub
        self._connect_timeout = connect_timeout
        self._timeout = timeout

    def connect(self, address: Address) -> Upstream:
        """Return a connection; the caller closes it.

        A name with several addresses is tried at each. Raises UpstreamError.
        """
        error: Exception | None = None
        for family, target in self._targets(address):
            try:
                return self._connect(family, target)
            except (OSError, Disconnected) as exc:
                error = exc
        if isinstance(error, PeerTimeout):
            raise UpstreamError(f"no connection to {_name(address)} in time")
        reason = error.strerror if isinstance(error, OSError) else error
        raise UpstreamError(f"cannot connect to {_name(address)}: {reason}")

    def _targets(self, address: Address) -> list[tuple[int, Any]]:
        if isinstance(address, UnixAddress):
            return [(socket.AF_UNIX, address.path)]
        if isinstance(address, AbstractAddress):
            return [(socket.AF_UNIX, "\0" + address.name)]
        if isinstance(address, TcpAddress):
            if number := _numeric(address):
                return [number]
            try:
                found = gevent.socket.getaddrinfo(
                    address.host, address.port, type=socket.SOCK_STREAM
                )
            except OSError as exc:
                raise UpstreamError(
                    f"cannot resolve {address.host!r}: {exc.strerror}"
                ) from exc
            return [(family, target) for family, _, _, _, target in found]
        raise UpstreamError(f"{address} is not the address of a backend")

    def _connect(self, family: int, target: Any) -> Upstream:
        sock = _socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        upstream = Upstream(Stream(sock, self._hub), self._hub, self._connect_timeout)
        try:
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(target)
            if code == errno.EINPROGRESS:
                upstream.wait_writable()
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
        except BaseException:
            upstream.close()
            raise
        upstream.timeout = self._timeout
        return upstream


def _numeric(address: TcpAddress) -> tuple[int, Any] | None:
    """Family and address of a host that is a number.

    gevent looks names up in a thread, numbers too, which costs a request to the next
    process 80 of its 240 microseconds.
    """
    family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
    try:
        socket.inet_pton(family, address.host)
    except (OSError, ValueError):
        return None
    if family == socket.AF_INET6:
        return family, (address.host, address.port, 0, 0)
    return family, (address.host, address.port)


def _name(address: Address) -> str:
    if isinstance(address, TcpAddress):
        host = f"[{address.host}]" if address.is_ipv6 else address.host
        return f"{host}:{address.port}"
    if isinstance(address, UnixAddress):
        return address.path
    if isinstance(address, AbstractAddress):
        return f"@{address.name}"
    return str(address)
