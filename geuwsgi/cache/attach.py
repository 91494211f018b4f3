"""From memory to a cache."""

from __future__ import annotations

from geuwsgi.cache.cache import Cache
from geuwsgi.cache.geometry import MUTEX_AT, Geometry
from geuwsgi.cache.log import Log
from geuwsgi.cache.peers import ToldCache
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.cache.table import Table
from geuwsgi.shared.mutex import make_mutex
from geuwsgi.shared.region import Region


def fresh_geometry(spec: CacheSpec) -> Geometry:
    """Return the geometry that a specification asks for."""
    return Geometry.fresh(
        items=spec.items,
        blocks=spec.blocks or spec.items,
        blocksize=spec.blocksize,
        keysize=spec.keysize,
        bitmap=spec.bitmap,
    )


def attach(
    spec: CacheSpec,
    region: Region,
    log: Log,
    *,
    fresh: Geometry | None = None,
    renew_mutex: bool = False,
) -> Cache:
    """Return the cache that lies in ``region``.

    ``fresh`` is the geometry for a region that is all zero. ``renew_mutex`` is for one
    that nobody else can have open.
    """
    geometry = fresh or Geometry.decode(region.memory[:256])
    mutex = make_mutex(
        region.memory,
        MUTEX_AT,
        fd=region.fd,
        fresh=fresh is not None or renew_mutex,
    )
    table = Table(
        region.memory,
        geometry,
        mutex,
        fresh=fresh is not None,
        purge_lru=spec.purge_lru,
        clear_on_full=spec.clear_on_full,
        last_modified=spec.lastmod,
    )
    kind = ToldCache if spec.node else Cache
    return kind(spec, region, table, log)
