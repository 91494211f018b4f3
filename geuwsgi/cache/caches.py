"""All caches of an instance, in the order of their lines.

The master makes them before the first template starts and hands them on as wire data
(names, descriptors and specifications); a process that got the descriptors maps the
same memory. A reload with unchanged lines keeps the memory and its contents; a cache
whose line changed is made anew and takes over what still fits.

An instance without caches has one of these, too, and imports nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from geuwsgi.cache.log import Log, log_to_stderr

if TYPE_CHECKING:
    from geuwsgi.cache.backend import CacheBackend
    from geuwsgi.cache.cache import Cache
    from geuwsgi.cache.spec import CacheSpec
    from geuwsgi.shared.mutex import Wait

_MOST_REMOTE_CACHES = 64


class Caches:
    """The caches by name; the first one is meant when no name is given."""

    def __init__(
        self,
        caches: Iterable[Cache],
        specs: Sequence[CacheSpec] | None = None,
        log: Log = log_to_stderr,
    ) -> None:
        """Hold local ``caches``; ``specs`` are those of all, in order of their lines."""
        self._caches = tuple(caches)
        self._local = {cache.spec.name: cache for cache in self._caches}
        self._specs = tuple(
            [cache.spec for cache in self._caches] if specs is None else specs
        )
        self._first = self._specs[0].name if self._specs else ""
        self._elsewhere: dict[str, CacheBackend] = {}
        self._log = log

    @classmethod
    def create(
        cls,
        specs: Sequence[CacheSpec],
        *,
        previous: Caches | None = None,
        log: Log = log_to_stderr,
    ) -> Caches:
        """Make the memory for ``specs``, or take it over from ``previous``.

        Called by the master. Raises ``StartupError`` if a store file cannot be made.
        """
        if not specs:
            return cls((), (), log)
        from geuwsgi.cache.making import make_cache, require_package

        caches = []
        for spec in specs:
            for key in spec.unknown:
                log(f"cache {spec.name!r}: unknown key {key!r}")
            if spec.backend:
                require_package(spec)
            else:
                old = previous.local(spec.name) if previous is not None else None
                caches.append(make_cache(spec, old, log))
        return cls(caches, specs, log)

    def local(self, name: str = "") -> Cache | None:
        """Return a cache of this instance, the first one for ``""``, or None."""
        return self._local.get(name or self._first)

    def named(self, name: str = "") -> CacheBackend | None:
        """Return the cache of that name, or the first one for ``""``; None: no such.

        ``name@address`` is a cache of another server.
        """
        name = name or self._first
        return self._local.get(name) or self._find_elsewhere(name)

    def _find_elsewhere(self, name: str) -> CacheBackend | None:
        found = self._elsewhere.get(name)
        if found is None:
            found = self._make_elsewhere(name)
            if found is not None and len(self._elsewhere) < _MOST_REMOTE_CACHES:
                self._elsewhere[name] = found
        return found

    def _make_elsewhere(self, name: str) -> CacheBackend | None:
        # Only processes with a hub come here, and these modules want one.
        for spec in self._specs:
            if spec.name == name and spec.backend:
                from geuwsgi.cache.rediscache import RedisCache

                return RedisCache(spec, self._log)
        there, at, address = name.rpartition("@")
        if not at:
            return None
        from geuwsgi.cache.remote import RemoteCache

        return RemoteCache(address, there, log=self._log)

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
            {
                "spec": spec.to_wire(),
                "region": self._local[spec.name].region.to_wire()
                if spec.name in self._local
                else None,
            }
            for spec in self._specs
        ]

    @classmethod
    def from_wire(
        cls, wire: Sequence[Mapping[str, Any]], *, log: Log = log_to_stderr
    ) -> Caches:
        """Map the caches in a process that inherited their descriptors."""
        if not wire:
            return cls((), (), log)
        from geuwsgi.cache.making import find_caches

        specs, caches = find_caches(wire, log)
        return cls(caches, specs, log)

    def enter_process(
        self, *, stripe: int, wait: Wait, breathe: Callable[[], object] | None = None
    ) -> None:
        """Tell the tables that they are used by a process that was just forked.

        Processes that live at a time have different stripes; ``wait`` is how to wait
        for a lock without stopping the hub, ``breathe`` gives it a turn.
        """
        for cache in self._caches:
            cache.table.breathe = breathe
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
        from geuwsgi.cache.store import close_store

        close_store(cache)
    cache.region.close()
