"""How a worker gives a connection to a sibling.

Each worker has a box: a pair of sockets that keep messages apart, made by the master
before the fork. (Not datagrams: of those Linux queues 10, whatever their size.) A
message carries the connection's descriptor, what was read of the request, and what
the listener knew of the peer. Nothing waits here: a full box refuses, and who wanted
to give the connection away serves it.
"""

from __future__ import annotations

import array
import contextlib
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_HEAD = 4
_LARGEST = 256 * 1024


@dataclass(slots=True)
class Handover:
    """A connection on its way. ``received`` begins with an unanswered request.

    ``listener`` is the index of the listener that accepted it, ``peer`` what its
    environ says of the client. The descriptor is the client's socket or, of a
    connection in TLS, the far end of a pair on which the sender relays it
    (``is_relayed``).
    """

    fd: int
    listener: int
    peer: dict[str, str]
    received: bytes
    is_relayed: bool = False


class Handovers:
    """The boxes of the workers of one generation, by worker number."""

    def __init__(self, pairs: Iterable[tuple[socket.socket, socket.socket]]) -> None:
        self._pairs = list(pairs)
        for end in (end for pair in self._pairs for end in pair):
            # On the object as well: in a patched process it is gevent's, which waits.
            end.setblocking(False)

    @classmethod
    def create(cls, workers: int) -> Handovers:
        """Make a box for each of the workers 1 to ``workers``."""
        pairs = []
        for _ in range(workers):
            pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for end in pair:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
            pairs.append(pair)
        return cls(pairs)

    def send(self, worker: int, handover: Handover) -> bool:
        """Put a connection into a worker's box; False if it does not go in.

        The caller keeps its descriptor and closes it.
        """
        if not 1 <= worker <= len(self._pairs):
            return False
        facts = [handover.listener, handover.peer, handover.is_relayed]
        peer = json.dumps(facts).encode()
        message = len(peer).to_bytes(_HEAD, "big") + peer + handover.received
        descriptors = array.array("i", [handover.fd])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
        try:
            sent = self._pairs[worker - 1][1].sendmsg([message], ancillary)
        except OSError:  # EAGAIN, EMSGSIZE, ENOBUFS
            return False
        return sent == len(message)

    def receive(self, worker: int) -> Handover | None:
        """Take a connection out of the worker's box; None if it is empty."""
        try:
            message, fds, *_ = socket.recv_fds(self._pairs[worker - 1][0], _LARGEST, 1)
        except (BlockingIOError, InterruptedError):
            return None
        if not fds:
            return None
        length = int.from_bytes(message[:_HEAD], "big")
        body = _HEAD + length
        listener, peer, is_relayed = json.loads(message[_HEAD:body])
        return Handover(fds[0], listener, peer, message[body:], is_relayed)

    def fileno(self, worker: int) -> int:
        """The descriptor that is readable while something is in the worker's box."""
        return self._pairs[worker - 1][0].fileno()

    def descriptors(self) -> list[int]:
        return [end.fileno() for pair in self._pairs for end in pair]

    def to_wire(self) -> list[Any]:
        return [[end.fileno() for end in pair] for pair in self._pairs]

    @classmethod
    def from_wire(cls, wire: Iterable[Iterable[int]]) -> Handovers:
        pairs = []
        for fds in wire:
            reading, writing = (socket.socket(fileno=fd) for fd in fds)
            pairs.append((reading, writing))
        return cls(pairs)

    def close(self) -> None:
        """Close the boxes, and the connections that nobody took out."""
        for number, pair in enumerate(self._pairs, 1):
            with contextlib.suppress(OSError):
                while (left := self.receive(number)) is not None:
                    socket.socket(fileno=left.fd).close()
            for end in pair:
                end.close()
        self._pairs = []
