"""What belongs to one process: its signal handlers, its remote functions, its part.

Made in the template, before the application is imported and registers things; a forked
process inherits what was registered and finds out with ``boxes_of`` what it reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geuwsgi.background.inbox import Handler, SignalInbox
from geuwsgi.background.rpc import RpcTable

if TYPE_CHECKING:
    from geuwsgi.background.channels import Channels
    from geuwsgi.shared.mailboxes import Mailbox, Mailboxes


class Background:
    """See the module's text."""

    def __init__(self) -> None:
        self.handlers: dict[int, Handler] = {}
        self.inbox = SignalInbox(self.handlers, "template")
        self.rpc = RpcTable()
        self.channels: Channels | None = None
        #: What pings are answered with (``uwsgi.set_warning_message``).
        self.warning = b""


def signal_boxes(boxes: Mailboxes, role: str, number: int) -> list[Mailbox]:
    """Return the signal boxes that a process reads."""
    if role == "worker":
        return [boxes.worker_signals[number], boxes.worker_signals[0]]
    if role == "spooler":
        return boxes.spooler_signals[:1]
    if role == "mule":
        farms = [
            box
            for box, farm in zip(boxes.farm_signals, boxes.farms, strict=True)
            if number in farm.mules
        ]
        return [boxes.mule_signals[number], boxes.mule_signals[0], *farms]
    return []


def message_boxes(boxes: Mailboxes, mule: int, *, farms: bool = True) -> list[Mailbox]:
    """Return the message boxes that a mule reads: its own, everybody's, its farms'."""
    found = [boxes.mule_messages[mule], boxes.mule_messages[0]]
    return found + farm_boxes(boxes, mule) if farms else found


def farm_boxes(boxes: Mailboxes, mule: int) -> list[Mailbox]:
    """Return the message boxes of a mule's farms."""
    return [
        box
        for box, farm in zip(boxes.farm_messages, boxes.farms, strict=True)
        if mule in farm.mules
    ]
