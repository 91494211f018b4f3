"""How the caches of an instance come to be, by its master and in its processes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any

from geuwsgi.cache.attach import attach, fresh_geometry
from geuwsgi.cache.cache import Cache
from geuwsgi.cache.log import Log
from geuwsgi.cache.peers import take_over
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.cache.store import copy_items, open_store
from geuwsgi.errors import StartupError
from geuwsgi.protocol.urls import without_secrets
from geuwsgi.shared.region import Region


def make_cache(spec: CacheSpec, old: Cache | None, log: Log) -> Cache:
    """Return the cache for ``spec``; ``old`` has the same name, and may be it.

    Raises ``StartupError`` if a store file cannot be made.
    """
    if old is not None and old.spec == spec:
        return old
    cache = _create(spec, log)
    if old is not None:
        copy_items(old.table, cache.table)
    elif spec.sync:
        take_over(cache, log)
    return cache


def find_caches(
    wire: Iterable[Mapping[str, Any]], log: Log
) -> tuple[list[CacheSpec], list[Cache]]:
    """Map what another process has made: all specifications, and the local caches."""
    specs, caches = [], []
    for entry in wire:
        spec = CacheSpec.from_wire(entry["spec"])
        specs.append(spec)
        if entry["region"] is not None:
            caches.append(attach(spec, Region.from_wire(entry["region"]), log))
    return specs, caches


def require_package(spec: CacheSpec) -> None:
    """Raise StartupError if nothing installed speaks to a cache's backend."""
    if not any(importlib.util.find_spec(name) for name in ("redis", "valkey")):
        raise StartupError(
            f'cache "{spec.name}": {without_secrets(spec.backend)} wants the package'
            " redis or valkey: pip install 'geuwsgi[redis]'"
        )


def _create(spec: CacheSpec, log: Log) -> Cache:
    if spec.store:
        return open_store(spec, log)
    geometry = fresh_geometry(spec)
    region = Region.create(f"cache-{spec.name}", geometry.size)
    return attach(spec, region, log, fresh=geometry)
