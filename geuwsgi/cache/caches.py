"""All caches of an instance, in the order of their lines.

The master makes them before the first template starts and hands them on as wire data
(names, descriptors and specifications); a process that got the descriptors maps the
same memory. A reload with unchanged lines keeps the memory and its contents; a cache
whose line changed is made anew and takes over what still fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from geuwsgi.cache.cache import Cache, Log, attach, fresh_geometry, log_to_stderr
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.cache.store import close_store, copy_items, open_store
from geuwsgi.shared.mutex import Wait
from geuwsgi.shared.region import Region


class Caches:
    """The caches by name; the first one is meant when no name is given."""

    def __init__(self, caches: Iterable[Cache], log: Log = log_to_stderr) -> None:
        self._caches = tuple(caches)
        self._by_name = {cache.spec.name: cache for cache in self._caches}
        self._log = log
        self.default = self._caches[0] if self._caches else None

    @classmethod
    def create(
        cls,
        specs: Sequence[CacheSpec],
        *,
        previous: Caches | None = None,
        log: Log = log_to_stderr,
    ) -> Caches:
        """Make the memory for ``specs``, or take it over from ``previous``.

        Called by the master. Specs with a backend are none of ours. Raises
        ``StartupError`` if a store file cannot be made.
        """
        caches = []
        for spec in specs:
            if spec.backend:
                continue
            old = previous.named(spec.name) if previous is not None else None
            if old is not None and old.spec == spec:
                caches.append(old)
                continue
            cache = _create(spec, log)
            if old is not None:
                copy_items(old.table, cache.table)
            caches.append(cache)
        return cls(caches, log)

    def named(self, name: str = "") -> Cache | None:
        """Return the cache of that name, or the default one for ``""``."""
        return self._by_name.get(name) if name else self.default

    def __iter__(self) -> Iterator[Cache]:
        return iter(self._caches)

    def __len__(self) -> int:
        return len(self._caches)

    # Handing over

    def descriptors(self) -> list[int]:
        """Return what a new process must inherit for ``from_wire``."""
        return [cache.region.fd for cache in self._caches]

    def to_wire(self) -> list[dict[str, Any]]:
        """Return JSON-able data for ``from_wire``."""
        return [
            {"spec": cache.spec.to_wire(), "region": cache.region.to_wire()}
            for cache in self._caches
        ]

    @classmethod
    def from_wire(
        cls, wire: Iterable[Mapping[str, Any]], *, log: Log = log_to_stderr
    ) -> Caches:
        """Map the caches in a process that inherited their descriptors."""
        return cls(
            (
                attach(
                    CacheSpec.from_wire(entry["spec"]),
                    Region.from_wire(entry["region"]),
                    log,
                )
                for entry in wire
            ),
            log,
        )

    def enter_process(self, *, stripe: int, wait: Wait) -> None:
        """Tell the tables that they are used by a process that was just forked.

        Processes that live at a time have different stripes; ``wait`` is how to wait
        for a lock without stopping the hub.
        """
        for cache in self._caches:
            cache.table.count_in(stripe)
            cache.table.mutex.wait = wait

    # Upkeep

    def sweep(self) -> int:
        """Free some items whose time has come; return how many.

        Takes less than a millisecond a cache; more may be due afterwards
        (``is_sweep_due``).
        """
        freed = 0
        for cache in self._caches:
            if not cache.spec.no_expire:
                freed += cache.table.sweep()
        return freed

    def is_sweep_due(self) -> bool:
        return any(
            cache.table.is_sweep_due() and not cache.spec.no_expire
            for cache in self._caches
        )

    def sync(self) -> None:
        """Write the pages of caches with a store file to the disk."""
        for cache in self._caches:
            if cache.spec.store:
                cache.region.memory.flush()

    def close(self) -> None:
        """End of the instance: close the stores as whole ones, free the memory."""
        for cache in self._caches:
            _close(cache)

    def release(self, successor: Caches) -> None:
        """Free what ``successor``, made from these, did not take over.

        To be called when the last process of the old generation is gone.
        """
        kept = set(map(id, successor))
        for cache in self._caches:
            if id(cache) not in kept:
                _close(cache)

    def statistics(self) -> list[dict[str, Any]]:
        return [cache.statistics() for cache in self._caches]


def _close(cache: Cache) -> None:
    if cache.spec.store:
        close_store(cache)
    cache.region.close()


def _create(spec: CacheSpec, log: Log) -> Cache:
    if spec.store:
        return open_store(spec, log)
    geometry = fresh_geometry(spec)
    region = Region.create(f"cache-{spec.name}", geometry.size)
    return attach(spec, region, log, fresh=geometry)
