"""Raising uwsgi signals: from whatever process to whom they are for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from geuwsgi.shared.mailboxes import Mailbox, Mailboxes
from geuwsgi.shared.signaltable import SignalTable


class SignalRouter:
    """Puts signals into the boxes of their targets. Never waits.

    ``active_workers`` tells the numbers of the workers that accept connections.
    """

    def __init__(
        self,
        table: SignalTable,
        boxes: Mailboxes,
        active_workers: Callable[[], Iterable[int]] | None = None,
    ) -> None:
        self._table = table
        self._boxes = boxes
        self._active_workers = active_workers
        self.unrouted = 0  # signals that found no box or a full one

    def is_registered(self, signal: int) -> bool:
        return self._table.target(signal) is not None

    def send(self, signal: int) -> bool:
        """Raise a signal; False if it is not registered.

        One that cannot be delivered is counted and forgotten.
        """
        target = self._table.target(signal)
        if target is None:
            return False
        boxes = self.boxes_of(target.decode("utf-8", "replace"))
        if not boxes:
            self.unrouted += 1
        for box in boxes:
            if not box.send(bytes((signal,))):
                self.unrouted += 1
        return True

    def boxes_of(self, target: str) -> list[Mailbox]:
        """Return the boxes that a target means; none if there is no such target."""
        boxes = self._boxes
        if target in ("", "worker"):
            return boxes.worker_signals[:1]
        if target == "workers":
            return boxes.worker_signals[1:]
        if target == "active-workers":
            return self._active()
        if target == "mule":
            return boxes.mule_signals[:1]
        if target == "mules":
            return boxes.mule_signals[1:]
        if target == "spooler":
            return boxes.spooler_signals[:1]
        match = re.fullmatch(r"(worker|mule|farm)(\d+)", target)
        if match is not None:
            return self._numbered(match[1], int(match[2]))
        if target.startswith("farm_"):
            place = boxes.farm(target[5:])
            return [] if place is None else [boxes.farm_signals[place]]
        return []

    def _numbered(self, kind: str, number: int) -> list[Mailbox]:
        if kind == "farm":  # numbered from 1, and there is no box for any farm
            return self._boxes.farm_signals[number - 1 : number] if number else []
        boxes = {
            "worker": self._boxes.worker_signals,
            "mule": self._boxes.mule_signals,
        }[kind]
        return boxes[number : number + 1]

    def _active(self) -> list[Mailbox]:
        boxes = self._boxes.worker_signals
        if self._active_workers is None:
            return boxes[1:]
        return [boxes[n] for n in self._active_workers() if 0 < n < len(boxes)]
