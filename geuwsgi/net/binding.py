"""Open one listening socket.

Operating system errors become StartupError here, in a sentence that names the address.
Knows neither options nor kinds of listeners. No gevent: the master opens the sockets.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import sys
from dataclasses import dataclass
from typing import Any

from geuwsgi.errors import StartupError
from geuwsgi.net.address import (
    AbstractAddress,
    TcpAddress,
    UnixAddress,
    format_host_port,
    match_interface,
)

SIOCGIFCONF = 0x8912
# Of the Linux headers; the socket module has no name for them on every system.
IP_FREEBIND = 15
SO_REUSEPORT = getattr(socket, "SO_REUSEPORT", 15)


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """How sockets are opened; uWSGI's options of the same names.

    ``backlog`` is what listen() gets. ``mode`` is what Unix sockets are chmod-ed to
    (None: what the umask leaves), ``owner`` their user and group numbers (-1: as is).
    A ``private`` one is not for others, whatever the umask leaves, unless ``mode`` is.
    ``defer_accept_s`` delays accept until the peer sent something. It is off: uWSGI
    has it on, which keeps a TCP health check from ever seeing the server.
    """

    backlog: int = 4096
    mode: int | None = None
    owner: tuple[int, int] | None = None
    private: bool = False
    reuse_port: bool = False
    freebind: bool = False
    keepalive: bool = False
    defer_accept_s: int = 0
    fast_open: int = 0
    receive_buffer: int = 0
    send_buffer: int = 0


@dataclass(frozen=True, slots=True)
class Bound:
    """A socket that listens. ``inode`` tells its file, if it has one, from others."""

    socket: socket.socket
    path: str = ""
    inode: tuple[int, int] = (0, 0)

    def close(self) -> None:
        """Close the socket and remove its file."""
        self.socket.close()
        if self.path:
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def default_backlog() -> int:
    """Return what the kernel allows as backlog, at most 4096."""
    try:
        with open("/proc/sys/net/core/somaxconn", encoding="ascii") as file:
            return min(int(file.read()), 4096)
    except (OSError, ValueError):
        return min(socket.SOMAXCONN, 4096)


def listen_tcp(
    address: TcpAddress, options: SocketOptions, *, only_ipv6: bool = False
) -> Bound:
    """Return a non-blocking listening socket for ``address``.

    An IPv6 socket for every interface takes IPv4 connections as well, as in uWSGI,
    unless ``only_ipv6``. Raises StartupError, or ConfigError for a pattern that
    matches no interface.
    """
    host = address.host
    if address.is_pattern:
        host = match_interface(host, interface_addresses())
    shown = format_host_port(host, address.port)
    family, sockaddr = _resolve(host, address.port, shown)
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        _set(opened, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            _set(opened, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only_ipv6))
        if options.reuse_port:
            _set(opened, socket.SOL_SOCKET, SO_REUSEPORT, 1)
        if options.freebind:
            _set(opened, socket.IPPROTO_IP, IP_FREEBIND, 1)
        _tune(opened, options)
        opened.bind(sockaddr)
        if options.defer_accept_s:
            _set(
                opened,
                socket.IPPROTO_TCP,
                socket.TCP_DEFER_ACCEPT,
                options.defer_accept_s,
            )
        if options.fast_open:
            _set(opened, socket.IPPROTO_TCP, socket.TCP_FASTOPEN, options.fast_open)
        return _listen(opened, options, Bound(opened))
    except OSError as exc:
        opened.close()
        raise StartupError(f"cannot listen on {shown}: {_reason(exc)}") from exc


def listen_unix(address: UnixAddress, options: SocketOptions) -> Bound:
    """Return a non-blocking listening Unix socket.

    A socket file that is there already is replaced if nobody listens on it. uWSGI
    replaces it always, and so silently cuts off a server that still runs. The mode and
    owner are set before the first connection is possible. Raises StartupError.
    """
    path = os.path.abspath(address.path)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        _tune(opened, options)
        opened.bind(address.path)
        try:
            set_mode_and_owner(path, options)
            status = os.stat(path)
            bound = Bound(opened, path, (status.st_dev, status.st_ino))
            return _listen(opened, options, bound)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise
    except OSError as exc:
        opened.close()
        raise StartupError(
            f"cannot listen on {address.path}: {_unix_reason(exc, path)}"
        ) from exc
    except BaseException:
        opened.close()
        raise


def listen_abstract(address: AbstractAddress, options: SocketOptions) -> Bound:
    """Return a non-blocking listening socket of that abstract name, or StartupError."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _tune(opened, options)
        opened.bind("\0" + address.name)
        return _listen(opened, options, Bound(opened))
    except OSError as exc:
        opened.close()
        raise StartupError(f"cannot listen on @{address.name}: {_reason(exc)}") from exc


def bind_datagrams(
    address: TcpAddress | UnixAddress | AbstractAddress, options: SocketOptions
) -> Bound:
    """Return a non-blocking socket that receives datagrams (UDP, or a Unix socket).

    A socket file that is there already is replaced if nobody has it open. Raises
    StartupError, or ConfigError for a pattern that matches no interface.
    """
    if isinstance(address, TcpAddress):
        host = address.host
        if address.is_pattern:
            host = match_interface(host, interface_addresses())
        shown = f"udp {format_host_port(host, address.port)}"
        family, sockaddr = _resolve(host, address.port, shown)
        path = ""
        target: Any = sockaddr
    elif isinstance(address, UnixAddress):
        family, shown, target = socket.AF_UNIX, address.path, address.path
        path = os.path.abspath(address.path)
    else:
        family, shown, path = socket.AF_UNIX, f"@{address.name}", ""
        target = "\0" + address.name
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if path:
            _remove_stale(path, socket.SOCK_DGRAM)
        _tune(opened, options)
        opened.bind(target)
        opened.setblocking(False)
        if not path:
            return Bound(opened)
        set_mode_and_owner(path, options)
        status = os.stat(path)
        return Bound(opened, path, (status.st_dev, status.st_ino))
    except OSError as exc:
        opened.close()
        reason = _unix_reason(exc, path) if path else _reason(exc)
        raise StartupError(f"cannot listen on {shown}: {reason}") from exc


def adopt_datagrams(fd: int) -> Bound:
    """Return the datagram socket ``fd`` that this process was given."""
    adopted = socket.socket(fileno=fd)
    adopted.setblocking(False)
    return Bound(adopted)


def adopt(fd: int, options: SocketOptions | None = None) -> Bound:
    """Return the listening socket ``fd`` that this process was given.

    With ``options`` its backlog and buffers are set anew. Raises StartupError if it is
    no listening stream socket. The descriptor is closed with the returned socket.
    """
    try:
        kind = os.fstat(fd).st_mode
        if not stat.S_ISSOCK(kind):
            raise StartupError(f"descriptor {fd} is not a socket")
        adopted = socket.socket(fileno=fd)
    except OSError as exc:
        raise StartupError(f"cannot use descriptor {fd}: {_reason(exc)}") from exc
    try:
        if not adopted.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise StartupError(f"descriptor {fd} does not listen")
        adopted.setblocking(False)
        if options is not None:
            adopted.listen(options.backlog)
    except OSError as exc:
        adopted.detach()
        raise StartupError(f"cannot use descriptor {fd}: {_reason(exc)}") from exc
    except StartupError:
        adopted.detach()
        raise
    return Bound(adopted)


def set_mode_and_owner(path: str, options: SocketOptions) -> None:
    """Apply chmod-socket and chown-socket to ``path``; lets OSError out.

    What is so already is left alone: at a reload the process may have given up the
    rights to change the file, and mostly nothing has to change.
    """
    status = os.stat(path)
    mode = options.mode
    if mode is None and options.private:
        mode = stat.S_IMODE(status.st_mode) & 0o770
    if mode is not None and stat.S_IMODE(status.st_mode) != mode:
        os.chmod(path, mode)
    if options.owner is not None:
        have = (status.st_uid, status.st_gid)
        if any(
            want not in (-1, is_) for want, is_ in zip(options.owner, have, strict=True)
        ):
            os.chown(path, *options.owner)


def interface_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine's interfaces, in the kernel's order."""
    if sys.platform != "linux":
        return [*socket.gethostbyname_ex(socket.gethostname())[2], "127.0.0.1"]
    # struct ifconf, then an array of struct ifreq: a name of 16 bytes, a sockaddr
    # whose IPv4 address is at 4, padded to 40 bytes (32 where pointers have 4).
    record = 40 if struct.calcsize("P") == 8 else 32
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        room = 64
        while True:
            buffer = array.array("B", bytes(room * record))
            request = struct.pack("iP", len(buffer), buffer.buffer_info()[0])
            answer = fcntl.ioctl(probe.fileno(), SIOCGIFCONF, request)
            size = struct.unpack("iP", answer)[0]
            if size < len(buffer):
                break
            room *= 2
    found = buffer.tobytes()[:size]
    return [socket.inet_ntoa(found[at + 20 : at + 24]) for at in range(0, size, record)]


def _resolve(host: str, port: int, shown: str) -> tuple[int, tuple[object, ...]]:
    try:
        # A number needs no codec for names, whose import takes a millisecond.
        number = host.encode() if host.replace(".", "").isdecimal() else host
        found = socket.getaddrinfo(
            number, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "malformed name"
        raise StartupError(
            f"cannot listen on {shown}: unknown host {host!r}"
            f" ({(reason or str(exc)).lower()})"
        ) from exc
    # uWSGI resolves names to IPv4 only: localhost must not become ::1.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return found[0][0], found[0][4]


def _listen(opened: socket.socket, options: SocketOptions, bound: Bound) -> Bound:
    opened.listen(options.backlog)
    opened.setblocking(False)
    return bound


def _tune(opened: socket.socket, options: SocketOptions) -> None:
    if options.keepalive and opened.family != socket.AF_UNIX:
        _set(opened, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if options.receive_buffer:
        _set(opened, socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer)
    if options.send_buffer:
        _set(opened, socket.SOL_SOCKET, socket.SO_SNDBUF, options.send_buffer)


def _set(opened: socket.socket, level: int, option: int, value: int) -> None:
    opened.setsockopt(level, option, value)


def _remove_stale(path: str, kind: int = socket.SOCK_STREAM) -> None:
    """Remove a socket file nobody listens on; OSError EADDRINUSE if somebody does."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "a file that is not a socket is there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        except BlockingIOError:
            pass  # its queue is full, so somebody listens
        except OSError as exc:
            if exc.errno != errno.EPROTOTYPE:
                raise
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _unix_reason(exc: OSError, path: str) -> str:
    if exc.errno == errno.EADDRINUSE:
        return "address already in use: another process listens there"
    if exc.errno == errno.ENOENT:
        return f"the directory {os.path.dirname(path)} does not exist"
    if exc.errno == errno.ENOTDIR:
        return f"{os.path.dirname(path)} is not a directory"
    if exc.errno in (errno.EACCES, errno.EPERM):
        return f"permission denied (directory {os.path.dirname(path)})"
    return _reason(exc)


def _reason(exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return "address already in use"
    if exc.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address (freebind would allow it)"
    if exc.errno in (errno.EACCES, errno.EPERM):
        return "permission denied"
    return (exc.strerror or str(exc)).lower()
