"""Listening sockets that this process was started with.

systemd passes them from descriptor 3 on and says so in ``LISTEN_FDS``, ``LISTEN_PID``
and ``LISTEN_FDNAMES``; inetd passes one as descriptor 0.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import MutableMapping
from dataclasses import dataclass

from geuwsgi.net.address import (
    AbstractAddress,
    Address,
    DescriptorAddress,
    TcpAddress,
    UnixAddress,
)

# sd_listen_fds(3)
FIRST_SYSTEMD_FD = 3


@dataclass(frozen=True, slots=True)
class InheritedSocket:
    """An open descriptor and the name it was passed under, which may be empty."""

    fd: int
    name: str = ""


def take_inherited(
    environ: MutableMapping[str, str], pid: int
) -> list[InheritedSocket]:
    """Return the sockets this process was given, and forget that it was.

    The variables are removed from ``environ``, so that no child takes them for its
    own. Variables meant for another process (``LISTEN_PID`` is not ``pid``) or not
    numbers yield nothing.
    """
    count_text = environ.pop("LISTEN_FDS", "")
    pid_text = environ.pop("LISTEN_PID", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid_text == str(pid) and count_text.isascii() and count_text.isdigit():
        count = int(count_text)
        names += [""] * (count - len(names))
        return [
            InheritedSocket(FIRST_SYSTEMD_FD + index, names[index])
            for index in range(count)
        ]
    return []


def is_listening(fd: int) -> bool:
    """Whether ``fd`` is an open socket that listens (uWSGI: fd 0 of inetd, zerg)."""
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return False
        probe = socket.socket(fileno=os.dup(fd))
    except OSError:
        return False
    with probe:
        return bool(probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def take_standard_input() -> list[InheritedSocket]:
    """Return descriptor 0 if it is a listening socket, and put the null device there.

    As inetd passes one, and an emperor to a vassal on demand.
    """
    if not is_listening(0):
        return []
    taken = os.dup(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    return [InheritedSocket(taken)]


def bound_address(listening: socket.socket) -> Address:
    """Return where ``listening`` is bound to."""
    name = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        if isinstance(name, bytes):  # abstract names come as bytes
            return AbstractAddress(name[1:].decode("utf-8", "surrogateescape"))
        return UnixAddress(name) if name else DescriptorAddress(listening.fileno())
    return TcpAddress(name[0], name[1])
