"""Boxes that every process of an instance may put a message into for every other.

There are more boxes than processes. A process that wants to hear claims a free one, and
gives it back or dies with it; then the next one takes it. The master makes the boxes
before the first fork and keeps them over reloads, so the processes of two generations
hear each other while one replaces the other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from geuwsgi.shared.mailboxes import Mailbox
from geuwsgi.shared.mutex import MUTEX_SIZE, Wait, make_mutex
from geuwsgi.shared.region import Region


class Broadcast:
    """``owners`` has the process id of each box's reader, 0 for none."""

    def __init__(self, region: Region, boxes: list[Mailbox], *, fresh: bool) -> None:
        self.region = region
        self.boxes = boxes
        self.mutex = make_mutex(region.memory, 0, fd=region.fd, fresh=fresh)
        words = memoryview(region.memory)[MUTEX_SIZE:].cast("q")
        self._owners = words[: len(boxes)]

    @classmethod
    def create(cls, count: int) -> Broadcast:
        region = Region.create("broadcast", MUTEX_SIZE + 8 * count)
        boxes = [Mailbox.for_messages() for _ in range(count)]
        return cls(region, boxes, fresh=True)

    def descriptors(self) -> list[int]:
        return [self.region.fd, *(fd for box in self.boxes for fd in box.descriptors())]

    def to_wire(self) -> dict[str, Any]:
        return {
            "region": self.region.to_wire(),
            "boxes": [box.descriptors() for box in self.boxes],
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Broadcast:
        boxes = [Mailbox.from_descriptors(fds) for fds in wire["boxes"]]
        return cls(Region.from_wire(wire["region"]), boxes, fresh=False)

    def enter_process(self, wait: Wait) -> None:
        self.mutex.wait = wait

    def close(self) -> None:
        for box in self.boxes:
            box.close()
        self._owners.release()
        self.region.close()

    def claim(self) -> Mailbox | None:
        """Take an empty box for this process; None if all are taken."""
        return self.mutex.call(self._claim)

    def give_back(self, box: Mailbox) -> None:
        """Let another process have the box."""
        place = self.boxes.index(box)
        if self._owners[place] == os.getpid():
            self._owners[place] = 0

    def readers(self) -> list[Mailbox]:
        """Return the boxes that somebody reads."""
        return [
            box
            for box, owner in zip(self.boxes, self._owners.tolist(), strict=True)
            if owner
        ]

    def _claim(self) -> Mailbox | None:
        for place, box in enumerate(self.boxes):
            if not _is_alive(self._owners[place]):
                while box.receive() is not None:
                    continue  # it was for somebody who is gone
                self._owners[place] = os.getpid()
                return box
        return None


def _is_alive(pid: int) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
