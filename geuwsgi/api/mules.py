"""Mules and farms in the ``uwsgi`` module."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from geuwsgi.api.basic import as_bytes
from geuwsgi.background.member import farm_boxes, message_boxes
from geuwsgi.background.mules import MessageWaiter

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.shared.mailboxes import Mailbox, Mailboxes


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions."""
    functions = MuleFunctions(context)
    for name in MuleFunctions.NAMES:
        setattr(module, name, getattr(functions, name))


class MuleFunctions:
    """Messages are bytes in and out, at most 64 KiB; what does not fit is dropped."""

    NAMES = ("mule_msg", "mule_get_msg", "farm_msg", "farm_get_msg", "in_farm")

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def mule_msg(self, message: str | bytes, target: int | str | bytes = 0, /) -> bool:
        """Send a message to a mule, by number, to any (0), or to a farm by name.

        False if it cannot be put into the box: the box is full, the message too long,
        or there is no such mule. Raises ValueError for an unknown farm, or without
        mules.
        """
        text = as_bytes(message)
        boxes = self._context.commons.mailboxes
        if boxes is None or not boxes.mule_messages:
            raise ValueError("no mule configured")
        if isinstance(target, int):
            if not 0 <= target < len(boxes.mule_messages):
                sys.stderr.write(f"there is no mule {target}\n")
                return False
            return boxes.mule_messages[target].send(text)
        if isinstance(target, str | bytes):
            box = _farm_box(boxes, target)
            if box is None:
                raise ValueError("unknown farm")
            return box.send(text)
        raise ValueError("invalid mule")

    def mule_get_msg(
        self,
        signals: bool = True,
        farms: bool = True,
        buffer_size: int = 65536,
        timeout: float = -1,
    ) -> bytes | None:
        """Wait for a message, in a mule; None after ``timeout`` seconds.

        Signals are handled meanwhile in any case. Raises ValueError elsewhere.
        """
        mule, boxes = self._context.mule_id, self._context.commons.mailboxes
        if not mule or boxes is None:
            raise ValueError("you can receive mule messages only in a mule !!!")
        waiter = MessageWaiter(message_boxes(boxes, mule, farms=farms))
        return waiter.wait(None if timeout < 0 else timeout, buffer_size)

    def farm_msg(self, farm: str, message: str | bytes, /) -> None:
        """Send a message to a farm; an unknown one is ignored."""
        if not isinstance(farm, str):
            raise TypeError(f"a farm's name is a str, not {type(farm).__name__}")
        text = as_bytes(message)
        boxes = self._context.commons.mailboxes
        box = _farm_box(boxes, farm) if boxes is not None else None
        if box is not None:
            box.send(text)

    def farm_get_msg(self) -> bytes | None:
        """Wait for a message for one of this mule's farms."""
        mule, boxes = self._context.mule_id, self._context.commons.mailboxes
        if not mule or boxes is None:
            raise ValueError("you can receive farm messages only in a mule !!!")
        return MessageWaiter(farm_boxes(boxes, mule)).wait(None)

    def in_farm(self, farm: str = "", /) -> bool | None:
        """Return True in a mule of that farm, or of any, else None."""
        if not isinstance(farm, str):
            raise TypeError(f"a farm's name is a str, not {type(farm).__name__}")
        mule, boxes = self._context.mule_id, self._context.commons.mailboxes
        if not mule or boxes is None:
            return None
        return (
            any(
                mule in known.mules for known in boxes.farms if farm in ("", known.name)
            )
            or None
        )


def _farm_box(boxes: Mailboxes, name: str | bytes) -> Mailbox | None:
    place = boxes.farm(name.decode() if isinstance(name, bytes) else name)
    return None if place is None else boxes.farm_messages[place]
