"""The queue on a Redis or Valkey server (``queue-server``), for many machines.

The same ring as :mod:`geuwsgi.shared.queue`, kept in one hash: a field for each slot
that holds a message, and the two places. What changes is a script there, so nobody
sees half of it. Without the server the queue takes nothing and is empty, and says so in
the log once a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from geuwsgi.cache.redisclients import RedisClients, ServerUnavailable

# What the local ring keeps for itself of each block: sizes mean the same there.
_SLOT_HEADER = 16
_COMPLAINT_EVERY_S = 1.0

# KEYS: the hash. ARGV: the number of slots, then what each wants.
_PLACES = """
local size = tonumber(ARGV[1])
local w = tonumber(redis.call('hget', KEYS[1], 'w') or 0) % size
local r = tonumber(redis.call('hget', KEYS[1], 'r') or 0) % size
"""
_PUSH = (
    _PLACES
    + """
if w == r and redis.call('hexists', KEYS[1], w) == 1 then
  redis.call('hset', KEYS[1], 'r', (r + 1) % size)
end
redis.call('hset', KEYS[1], w, ARGV[2], 'w', (w + 1) % size)
return 1
"""
)
_PULL = (
    _PLACES
    + """
local message = redis.call('hget', KEYS[1], r)
if message then
  redis.call('hdel', KEYS[1], r)
  redis.call('hset', KEYS[1], 'r', (r + 1) % size)
end
return message
"""
)
_POP = (
    _PLACES
    + """
local slot = (w - 1) % size
local message = redis.call('hget', KEYS[1], slot)
if message then
  redis.call('hdel', KEYS[1], slot)
  redis.call('hset', KEYS[1], 'w', slot)
end
return message
"""
)
_LAST = (
    _PLACES
    + """
local found = {}
for back = 1, tonumber(ARGV[2]) do
  found[back] = redis.call('hget', KEYS[1], (w - back) % size)
end
return found
"""
)


class RedisQueue:
    """``size`` slots of ``blocksize`` bytes; every method blocks its greenlet."""

    def __init__(
        self,
        url: str,
        *,
        size: int,
        blocksize: int,
        log: Callable[[str], object],
        name: str = "geuwsgi:queue",
        timeout_s: float = 1.0,
    ) -> None:
        self.size = size
        self.blocksize = blocksize
        self._clients = RedisClients(url, timeout_s=timeout_s)
        self._name = name
        self._log = log
        self._complained = -_COMPLAINT_EVERY_S

    def push(self, message: bytes) -> bool:
        """Add a message; False if it is empty or longer than a slot."""
        return self._fits(message) and bool(self._run(_PUSH, message))

    def pull(self) -> bytes | None:
        """Take the oldest message."""
        message: bytes | None = self._run(_PULL)
        return message

    def pop(self) -> bytes | None:
        """Take the newest message."""
        message: bytes | None = self._run(_POP)
        return message

    def get(self, slot: int) -> bytes | None:
        """Return what a slot holds."""
        if not 0 <= slot < self.size:
            return None
        found: bytes | None = self._ask(lambda client: client.hget(self._name, slot))
        return found

    def set(self, slot: int, message: bytes) -> bool:
        """Put a message into a slot; False if it does not fit or there is no such."""
        if not 0 <= slot < self.size or not self._fits(message):
            return False

        def put(client: Any) -> bool:
            return bool(client.hset(self._name, slot, message) >= 0)

        return bool(self._ask(put))

    def last(self, count: int) -> list[bytes | None]:
        """Return the messages pushed last, newest first, None for empty slots."""
        count = max(0, min(count, self.size))
        found = self._run(_LAST, count) or []
        return [*found, *([None] * (count - len(found)))]

    @property
    def write_slot(self) -> int:
        return self._place("w")

    @property
    def read_slot(self) -> int:
        return self._place("r")

    def _place(self, field: str) -> int:
        return int(self._ask(lambda c: c.hget(self._name, field)) or 0) % self.size

    def _fits(self, message: bytes) -> bool:
        return 0 < len(message) <= self.blocksize - _SLOT_HEADER

    def _run(self, script: str, *arguments: object) -> Any:
        # Not again if the answer is lost: it may have been done.
        return self._ask(
            lambda client: client.eval(script, 1, self._name, self.size, *arguments)
        )

    def _ask(self, function: Callable[[Any], Any]) -> Any:
        try:
            with self._clients.client() as client:
                return function(client)
        except ServerUnavailable as exc:
            # Those that wait in the pool are as dead as this one.
            self._clients.forget()
            why = str(exc)
        except self._clients.package.exceptions.ResponseError as exc:
            why = f"{self._clients.shown_url}: {exc}"
        now = time.monotonic()
        if now - self._complained >= _COMPLAINT_EVERY_S:
            self._complained = now
            self._log(f"queue: {why}")
        return None
