"""One listening socket, and how it is handed over to another process.

Sockets are opened in `geuwsgi.net.listeners`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from geuwsgi.net.address import (
    AbstractAddress,
    Address,
    DescriptorAddress,
    SharedAddress,
    TcpAddress,
    UnixAddress,
)
from geuwsgi.net.binding import SO_REUSEPORT, adopt, adopt_datagrams

#: What is spoken on sockets that do not listen but receive datagrams.
DATAGRAMS = "datagrams"

# Of the Linux headers; the socket module has no name for it.
_SO_ATTACH_FILTER = 26

_ROUTERS = {
    "fastrouter": "fastrouter",
    "rawrouter": "rawrouter",
    "sslrouter": "sslrouter",
    "sslrouter2": "sslrouter",
    "http-subscription-server": "http subscription server",
    "fastrouter-subscription-server": "fastrouter subscription server",
    "rawrouter-subscription-server": "rawrouter subscription server",
    "sslrouter-subscription-server": "sslrouter subscription server",
}


@dataclass(slots=True, eq=False)
class Listener:
    """A socket that listens and what is spoken on it.

    ``name`` is the address as the option wrote it, with the real port where the system
    chose it. ``tls`` is the certificate part of the value (``cert,key,ciphers,ca``),
    empty where no TLS is spoken. Listeners on one ``shared-socket`` have one socket.
    """

    kind: str
    protocol: str
    socket: socket.socket
    name: str
    server_port: str
    address: Address
    tls: str = ""
    path: str = ""
    inode: tuple[int, int] = (0, 0)
    inherited: bool = False
    shared: int | None = None
    origin: str = field(default="", repr=False)
    has_left: bool = field(default=False, repr=False)

    @property
    def is_unix(self) -> bool:
        """Whether peers have no address of their own."""
        return self.socket.family == socket.AF_UNIX

    @property
    def takes_datagrams(self) -> bool:
        """Whether nobody connects to it (subscription servers)."""
        return self.protocol == DATAGRAMS

    @property
    def shares_port(self) -> bool:
        """Whether other servers may listen on the same port (uWSGI: reuse-port)."""
        return (
            not (self.is_unix or self.has_left)
            and self.fileno() >= 0
            and self.socket.getsockopt(socket.SOL_SOCKET, SO_REUSEPORT) != 0
        )

    def leave_port(self) -> None:
        """Listen no more where others do: new connections come to them.

        The kernel goes on sending them here until every process has closed the socket.
        """
        if self.shares_port:
            self.leave()

    def turn_away(self) -> None:
        """Have the kernel let nobody in any more; who waits can still be accepted.

        For good, and in all processes that have the socket. Clients try again until
        the last of them has closed it: then others may listen there. Unix sockets
        know no such thing.
        """
        if self.is_unix or self.takes_datagrams or self.has_left:
            return
        # A filter of one instruction, "return 0 bytes": what begins a connection is
        # dropped, and sent again by the client's kernel a second later.
        instruction = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0))
        program = struct.pack("@HP", 1, ctypes.addressof(instruction))
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def leave(self) -> None:
        """Let go of the socket in this process; the descriptor stays a number."""
        if self.has_left or self.fileno() < 0:
            return
        # Not close(): in a worker the socket may be gevent's, of a loop before the fork.
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, self.fileno(), inheritable=False)
        os.close(null)
        self.has_left = True

    def fileno(self) -> int:
        """Return the descriptor; -1 after close."""
        return self.socket.fileno()

    def describe(self, index: int) -> str:
        """Return the line uWSGI prints at start for its socket number ``index``."""
        fd = self.fileno()
        family = {socket.AF_UNIX: "UNIX", socket.AF_INET6: "TCP6"}.get(
            self.socket.family, "TCP"
        )
        if self.shared is not None:
            return (
                f"uwsgi socket {index} mapped to shared socket {self.shared}"
                f" ({self.name}) fd {fd}"
            )
        if self.inherited:
            family = "UNIX" if self.is_unix else "INET"
            return (
                f"uwsgi socket {index} inherited {family} address {self.name} fd {fd}"
            )
        if self.kind in {"http", "https", "https2", "http-to-https"}:
            return f"uWSGI http bound on {self.name} fd {fd}"
        if self.kind in _ROUTERS:
            return f"uWSGI {_ROUTERS[self.kind]} bound on {self.name} fd {fd}"
        auto = isinstance(self.address, TcpAddress) and self.address.port == 0
        chosen = " (port auto-assigned)" if auto else ""
        return f"uwsgi socket {index} bound to {family} address {self.name}{chosen} fd {fd}"

    def close(self, *, vacuum: bool = False) -> None:
        """Close the socket; with ``vacuum`` remove its file, if the file is its own.

        A file that another server has put in its place stays. May be called twice.
        """
        self.socket.close()
        if vacuum and self.path:
            with contextlib.suppress(OSError):
                status = os.stat(self.path)
                if (status.st_dev, status.st_ino) == self.inode:
                    os.unlink(self.path)


def dropped(old: Iterable[Listener], new: Iterable[Listener]) -> list[Listener]:
    """Return the listeners of ``old`` whose socket no listener of ``new`` uses."""
    kept = {id(listener.socket) for listener in new}
    return [listener for listener in old if id(listener.socket) not in kept]


def to_wire(listeners: Iterable[Listener]) -> str:
    """Return the listeners as text for `from_wire` in a process that inherits them.

    The descriptors keep their numbers, so pass them on as they are (`fileno`).
    """
    return json.dumps(
        [
            {
                "fd": listener.fileno(),
                "kind": listener.kind,
                "protocol": listener.protocol,
                "name": listener.name,
                "server_port": listener.server_port,
                "address": [
                    type(listener.address).__name__,
                    *(
                        getattr(listener.address, name)
                        for name in listener.address.__slots__
                    ),
                ],
                "tls": listener.tls,
                "path": listener.path,
                "inode": list(listener.inode),
                "inherited": listener.inherited,
                "shared": listener.shared,
                "origin": listener.origin,
            }
            for listener in listeners
        ]
    )


def from_wire(text: str, *, inheritable: bool = False) -> list[Listener]:
    """Return the listeners that `to_wire` wrote, over the same descriptors.

    They are closed on a further exec unless ``inheritable``: what an application
    starts must not keep the site's port open. Raises StartupError if a descriptor did
    not come along.
    """
    sockets: dict[int, socket.socket] = {}
    listeners = []
    for entry in json.loads(text):
        fd = entry.pop("fd")
        if fd not in sockets:
            is_stream = entry.get("protocol") != DATAGRAMS
            bound = adopt(fd) if is_stream else adopt_datagrams(fd)
            sockets[fd] = bound.socket
            os.set_inheritable(fd, inheritable)
        kind, *values = entry.pop("address")
        entry["address"] = _ADDRESSES[kind](*values)
        entry["inode"] = tuple(entry["inode"])
        listeners.append(Listener(socket=sockets[fd], **entry))
    return listeners


_ADDRESSES: Mapping[str, type[Address]] = {
    kind.__name__: kind
    for kind in (
        TcpAddress,
        UnixAddress,
        AbstractAddress,
        DescriptorAddress,
        SharedAddress,
    )
}
