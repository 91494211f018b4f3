"""The duty that frees what has expired and writes stores to the disk."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from geuwsgi.cache.caches import Caches
from geuwsgi.master.duty import Duty
from geuwsgi.master.prepared import Prepared
from geuwsgi.shared.mutex import MutexTimeout

# A worker that is stopped while it holds a lock must not stop the master for long.
_LOCK_TIMEOUT_S = 0.02
# Longest sweep in one turn of the loop; what is left waits for the next one.
_SWEEP_S = 0.005


class UpkeepDuty(Duty):
    """Caches and queue of a generation."""

    def __init__(self, prepared: Prepared, log: Callable[[str], None]) -> None:
        settings, commons = prepared.settings, prepared.commons
        self._caches: Caches = commons.caches
        self._tells = settings.cache.cache_report_freed_items
        self._frequency_s = settings.cache.cache_expire_freq or 3.0
        self._log = log
        self._next = 0.0
        self._stores: list[tuple[int, float]] = [
            (cache.region.fd, float(cache.spec.store_sync))
            for cache in self._caches
            if cache.spec.store and cache.spec.store_sync
        ]
        shared = settings.shared
        if commons.queue is not None and shared.queue_store and shared.queue_store_sync:
            self._stores.append(
                (commons.queue.region.fd, float(shared.queue_store_sync))
            )
        self._synced = [0.0] * len(self._stores)
        self._writing: threading.Thread | None = None
        for cache in self._caches:
            cache.table.mutex.timeout_s = _LOCK_TIMEOUT_S

    def tick(self, now: float) -> None:
        if now >= self._next:
            self._next = now + self._frequency_s
            self._sweep()
        due = [
            place
            for place, (_, period) in enumerate(self._stores)
            if now - self._synced[place] >= period
        ]
        if due and (self._writing is None or not self._writing.is_alive()):
            for place in due:
                self._synced[place] = now
            self._write([self._stores[place][0] for place in due])

    def _sweep(self) -> None:
        freed = 0
        until = time.monotonic() + _SWEEP_S
        try:
            while self._caches.is_sweep_due() and time.monotonic() < until:
                freed += self._caches.sweep()
        except MutexTimeout as exc:
            self._log(f"a cache is not swept: {exc}")
        if freed and self._tells:
            self._log(f"freed {freed} expired cache items")

    def _write(self, filenos: list[int]) -> None:
        # A disk may be busy for seconds, and fdatasync lets the loop run meanwhile.
        def write() -> None:
            for fileno in filenos:
                os.fdatasync(fileno)

        self._writing = threading.Thread(target=write, daemon=True)
        self._writing.start()

    def end(self) -> None:
        if self._writing is not None:
            self._writing.join(1.0)
