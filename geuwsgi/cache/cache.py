"""One local cache: a table, its name, and uWSGI's words for what happens."""

from __future__ import annotations

import time
from typing import Any

from geuwsgi.cache.geometry import (
    COUNT,
    EVICTED,
    EXPIRED,
    FULL,
    LAST_MODIFIED,
    REPAIRS,
)
from geuwsgi.cache.log import Log
from geuwsgi.cache.outcome import Outcome
from geuwsgi.cache.slots import NEVER
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.cache.table import Table
from geuwsgi.shared.arithmetic import Arithmetic
from geuwsgi.shared.region import Region

_FULL_MESSAGE_EVERY_S = 1.0
_STORED = Outcome.STORED


class Cache:
    """A table with its region and specification.

    ``get`` is the table's. Keys and values are bytes; times to live are seconds from
    now, 0 for ever.
    """

    __slots__ = ("_full_told", "_log", "_store", "get", "region", "spec", "table")

    def __init__(self, spec: CacheSpec, region: Region, table: Table, log: Log) -> None:
        self.spec = spec
        self.region = region
        self.table = table
        self.get = table.get
        self._store = table._store
        self._log = log
        self._full_told = 0.0
        table.on_repair = self._tell_repair

    def set(self, key: bytes, value: bytes, seconds: int = 0) -> bool:
        """Store under a new key; False if it exists, does not fit or is empty."""
        outcome = self.table.set(key, value, _ends(seconds) if seconds else NEVER)
        return outcome is Outcome.STORED or self._failed(outcome)

    def update(self, key: bytes, value: bytes, seconds: int = 0) -> bool:
        """Store under a key, new or not; False if it does not fit or is empty."""
        # Not through ``Table.update``: each call costs 50 ns of two microseconds.
        outcome = self._store(key, value, _ends(seconds) if seconds else NEVER, True)
        return outcome is _STORED or self._failed(outcome)

    def delete(self, key: bytes) -> bool:
        return self.table.delete(key) is Outcome.STORED

    def exists(self, key: bytes) -> bool:
        return self.table.exists(key)

    def clear(self) -> bool:
        self.table.clear()
        return True

    def change(
        self, key: bytes, arithmetic: Arithmetic, amount: int, seconds: int = 0
    ) -> bool:
        """Change a number atomically; see ``Table.change``."""
        outcome = self.table.change(
            key,
            arithmetic,
            amount,
            initial=self.spec.math_initial,
            expires=_ends(seconds) if seconds else NEVER,
        )
        return outcome is Outcome.STORED or self._failed(outcome)

    def number(self, key: bytes) -> int:
        return self.table.number(key)

    def keys(self) -> list[bytes]:
        return self.table.keys()

    def statistics(self) -> dict[str, Any]:
        """Return what the stats server tells about this cache."""
        spec, table = self.spec, self.table
        return {
            "name": spec.name,
            "hash": spec.hash,
            "hashsize": spec.hashsize,
            "keysize": spec.keysize,
            "max_items": spec.items,
            "blocks": spec.blocks or spec.items,
            "blocksize": spec.blocksize,
            "items": table.counter(COUNT),
            "hits": table.hits(),
            "miss": table.misses(),
            "full": table.counter(FULL),
            "last_modified_at": table.counter(LAST_MODIFIED),
            "evicted": table.counter(EVICTED),
            "expired": table.counter(EXPIRED),
            "repairs": table.counter(REPAIRS),
        }

    def _failed(self, outcome: Outcome) -> bool:
        if outcome is Outcome.FULL and not self.spec.ignore_full:
            now = time.monotonic()
            if now - self._full_told >= _FULL_MESSAGE_EVERY_S:
                self._full_told = now
                self._log(f'*** DANGER cache "{self.spec.name}" is FULL !!! ***')
        return False

    def _tell_repair(self, key: bytes) -> None:
        lost = f" and lost the item {key!r}" if key else ""
        self._log(
            f'cache "{self.spec.name}" was repaired{lost}:'
            " a process ended while it was writing"
        )


def _ends(seconds: int) -> float:
    return time.time() + seconds
