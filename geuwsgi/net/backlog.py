"""How many connections wait to be accepted on a listening socket.

TCP tells with TCP_INFO. Unix sockets tell nobody but the kernel's socket diagnosis
(sock_diag(7)), which uWSGI does not ask: its statistics say 0 for them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct

# linux/netlink.h, linux/sock_diag.h, linux/unix_diag.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_UDIAG_SHOW_RQLEN = 0x10
_UNIX_DIAG_RQLEN = 4
_ALL_STATES = 0xFFFFFFFF
_NO_COOKIE = 0xFFFFFFFF

_HEADER = struct.Struct("=IHHII")
# family, protocol, padding, states, inode, what to show, cookie
_REQUEST = struct.Struct("=BBHIIIII")
_MESSAGE_SIZE = 16
_ATTRIBUTE = struct.Struct("=HH")
_QUEUES = struct.Struct("=II")
# struct tcp_info: eight bytes, then numbers of four. On a listening socket the fifth
# (tcpi_unacked) is what waits and the sixth (tcpi_sacked) the backlog.
_TCP_INFO = struct.Struct("=8x6I")


def waiting_connections(listening: socket.socket) -> tuple[int, int]:
    """Return how many connections wait, and how many may; zeros if that is unknown."""
    with contextlib.suppress(OSError, struct.error, AttributeError):
        if listening.family == socket.AF_UNIX:
            return _of_unix(listening.fileno())
        found = listening.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size
        )
        numbers = _TCP_INFO.unpack(found)
        return numbers[4], numbers[5]
    return 0, 0


def _of_unix(fd: int) -> tuple[int, int]:
    inode = os.fstat(fd).st_ino & 0xFFFFFFFF
    body = _REQUEST.pack(
        socket.AF_UNIX,
        0,
        0,
        _ALL_STATES,
        inode,
        _UDIAG_SHOW_RQLEN,
        _NO_COOKIE,
        _NO_COOKIE,
    )
    head = _HEADER.pack(
        _HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0
    )
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
    ) as diagnosis:
        # The kernel answers before send returns.
        diagnosis.setblocking(False)
        diagnosis.send(head + body)
        answer = diagnosis.recv(4096)
    size, kind, _, _, _ = _HEADER.unpack_from(answer)
    at = _HEADER.size + _MESSAGE_SIZE
    if kind != _SOCK_DIAG_BY_FAMILY:
        return 0, 0
    while at + _ATTRIBUTE.size <= size:
        length, name = _ATTRIBUTE.unpack_from(answer, at)
        if name == _UNIX_DIAG_RQLEN:
            waiting, most = _QUEUES.unpack_from(answer, at + _ATTRIBUTE.size)
            return waiting, most
        at += (max(length, _ATTRIBUTE.size) + 3) & ~3
    return 0, 0
