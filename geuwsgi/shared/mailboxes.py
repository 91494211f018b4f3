"""Where uwsgi signals and messages for mules wait to be read.

Pairs of connected sockets, made by the master before the first fork and inherited by
every process, so that who sends needs nobody's help. A box may have several readers:
what is sent to *any* mule is read by whichever comes first. Signals are single bytes on
a stream; messages keep their borders. Nothing here waits: a full box refuses.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class Mailbox:
    """One pair: ``write_fd`` is for everybody, ``read_fd`` for its readers."""

    def __init__(self, reading: socket.socket, writing: socket.socket) -> None:
        for end in (reading, writing):
            end.setblocking(False)
        self._reading = reading
        self._writing = writing
        self._is_stream = bool(reading.type & 0xF == socket.SOCK_STREAM)

    @classmethod
    def for_signals(cls) -> Mailbox:
        return cls(*socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))

    @classmethod
    def for_messages(cls, buffer_size: int = 0) -> Mailbox:
        pair = socket.socketpair(socket.AF_UNIX, _MESSAGES)
        if buffer_size:
            for end in pair:
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    end.setsockopt(socket.SOL_SOCKET, option, buffer_size)
        return cls(*pair)

    def send(self, message: bytes) -> bool:
        """Put a message in; False if the box is full or the message too long."""
        try:
            return self._writing.send(message) == len(message)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:  # ENOBUFS, EMSGSIZE
            return False

    def receive(self, size: int = 65536) -> bytes | None:
        """Take a message, cut to ``size``, or one byte of signals; None if empty."""
        try:
            return self._reading.recv(1 if self._is_stream else size)
        except (BlockingIOError, InterruptedError):
            return None

    def fileno(self) -> int:
        """The descriptor that is readable while something is in the box."""
        return self._reading.fileno()

    def descriptors(self) -> list[int]:
        return [self._reading.fileno(), self._writing.fileno()]

    @classmethod
    def from_descriptors(cls, fds: Iterable[int]) -> Mailbox:
        reading, writing = fds
        return cls(socket.socket(fileno=reading), socket.socket(fileno=writing))

    def close(self) -> None:
        self._reading.close()
        self._writing.close()


def _kind_of_messages() -> socket.SocketKind:
    # Datagrams of Unix sockets wait in queues of ten by default, sequenced packets
    # until the buffer is full. Some systems have only the former.
    try:
        for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET):
            end.close()
    except OSError:
        return socket.SOCK_DGRAM
    return socket.SOCK_SEQPACKET


_MESSAGES = _kind_of_messages()


@dataclass(frozen=True)
class Farm:
    """A group of mules, by their numbers."""

    name: str
    mules: tuple[int, ...]


class Mailboxes:
    """The boxes of an instance. Number 0 is for any worker or any mule.

    The master reads ``alarm_messages``, the processes themselves the others.
    """

    def __init__(self, boxes: dict[str, list[Mailbox]], farms: Iterable[Farm]) -> None:
        self.farms = tuple(farms)
        self.worker_signals = boxes["worker_signals"]
        self.mule_signals = boxes["mule_signals"]
        self.mule_messages = boxes["mule_messages"]
        self.farm_signals = boxes["farm_signals"]
        self.farm_messages = boxes["farm_messages"]
        self.spooler_signals = boxes["spooler_signals"]
        (self.alarm_messages,) = boxes["alarm_messages"]
        self._boxes = boxes

    @classmethod
    def create(
        cls,
        *,
        workers: int,
        mules: int,
        farms: Iterable[Farm],
        spoolers: bool,
        message_buffer: int = 0,
        previous: Mailboxes | None = None,
    ) -> Mailboxes:
        """Make the boxes; those of ``previous`` that serve the same end are kept.

        What is in a kept box is read by the next generation's processes.
        """
        farms = tuple(farms)
        has_mules = bool(mules)
        counts = {
            "worker_signals": workers + 1,
            "mule_signals": mules + 1 if has_mules else 0,
            "mule_messages": mules + 1 if has_mules else 0,
            "farm_signals": len(farms),
            "farm_messages": len(farms),
            "spooler_signals": 1 if spoolers else 0,
            "alarm_messages": 1,
        }
        boxes: dict[str, list[Mailbox]] = {}
        for kind, count in counts.items():
            kept = previous._boxes[kind][:count] if previous is not None else []
            fresh = count - len(kept)
            if kind.endswith("messages"):
                made = [Mailbox.for_messages(message_buffer) for _ in range(fresh)]
            else:
                made = [Mailbox.for_signals() for _ in range(fresh)]
            boxes[kind] = kept + made
        return cls(boxes, farms)

    def farm(self, name: str) -> int | None:
        """Return the place of a farm among the farms."""
        for place, farm in enumerate(self.farms):
            if farm.name == name:
                return place
        return None

    def descriptors(self) -> list[int]:
        return [fd for box in self._all() for fd in box.descriptors()]

    def to_wire(self) -> dict[str, Any]:
        return {
            "boxes": {
                kind: [box.descriptors() for box in boxes]
                for kind, boxes in self._boxes.items()
            },
            "farms": [[farm.name, list(farm.mules)] for farm in self.farms],
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Mailboxes:
        boxes = {
            kind: [Mailbox.from_descriptors(fds) for fds in entries]
            for kind, entries in wire["boxes"].items()
        }
        return cls(boxes, (Farm(name, tuple(ids)) for name, ids in wire["farms"]))

    def release(self, successor: Mailboxes | None) -> None:
        """Close the boxes that ``successor`` did not keep."""
        kept = set(map(id, successor._all())) if successor is not None else set()
        for box in self._all():
            if id(box) not in kept:
                with contextlib.suppress(OSError):
                    box.close()

    def close(self) -> None:
        self.release(None)

    def _all(self) -> list[Mailbox]:
        return [box for boxes in self._boxes.values() for box in boxes]
