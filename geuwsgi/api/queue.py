"""The ``queue_*`` functions of the ``uwsgi`` module; only with ``queue = N``."""

from __future__ import annotations

import operator
from types import ModuleType
from typing import TYPE_CHECKING

from geuwsgi.api.basic import as_bytes
from geuwsgi.cache.log import log_to_stderr

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.background.redisqueue import RedisQueue
    from geuwsgi.shared.queue import SharedQueue


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions if there is a queue."""
    queue = _queue_of(context)
    if queue is None:
        return
    module.queue_size = queue.size  # type: ignore[attr-defined]
    functions = QueueFunctions(queue)
    for name in QueueFunctions.NAMES:
        setattr(module, name, getattr(functions, name))


def _queue_of(context: ApiContext) -> SharedQueue | RedisQueue | None:
    shared = context.configuration.settings.shared
    if not shared.queue or not shared.queue_server:
        return context.commons.queue
    from geuwsgi.background.redisqueue import RedisQueue

    return RedisQueue(
        shared.queue_server,
        size=shared.queue,
        blocksize=shared.queue_blocksize,
        log=log_to_stderr,
    )


class QueueFunctions:
    """See ``geuwsgi.shared.queue`` for what they do to the ring."""

    NAMES = (
        "queue_push",
        "queue_pull",
        "queue_pop",
        "queue_get",
        "queue_set",
        "queue_last",
        "queue_slot",
        "queue_pull_slot",
    )

    def __init__(self, queue: SharedQueue | RedisQueue) -> None:
        self._queue = queue

    def queue_push(self, message: str | bytes, /) -> bool | None:
        """Add a message: True, or None if it is empty or too long."""
        return self._queue.push(as_bytes(message)) or None

    def queue_pull(self) -> bytes | None:
        """Take the oldest message, or None."""
        return self._queue.pull()

    def queue_pop(self) -> bytes | None:
        """Take the newest message, or None."""
        return self._queue.pop()

    def queue_get(self, slot: int, /) -> bytes | None:
        """Return what a slot holds, or None."""
        return self._queue.get(operator.index(slot))

    def queue_set(self, slot: int, message: str | bytes, /) -> bool | None:
        """Put a message into a slot: True, or None if that is impossible."""
        return self._queue.set(operator.index(slot), as_bytes(message)) or None

    def queue_last(self, count: int = 0, /) -> bytes | list[bytes | None] | None:
        """Return the newest message, or a list of the ``count`` newest."""
        if operator.index(count) > 0:
            return self._queue.last(count)
        return self._queue.last(1)[0]

    def queue_slot(self) -> int:
        """Return the slot that the next message goes to."""
        return self._queue.write_slot

    def queue_pull_slot(self) -> int:
        """Return the slot that the next pull takes from."""
        return self._queue.read_slot
