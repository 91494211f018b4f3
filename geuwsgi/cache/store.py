"""Caches that lie in a file and survive the instance.

The file is mapped instead of anonymous memory, so it holds what the cache holds at any
time, and killing every process loses nothing. What may be damaged – by a machine that
went down, by a full disk, by an editor – is checked item by item when it is opened and
refused as a whole: a line in the log names the file and what is wrong with it, the file
is kept under another name, and the cache begins empty.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from pathlib import Path

from geuwsgi.cache.attach import attach, fresh_geometry
from geuwsgi.cache.cache import Cache
from geuwsgi.cache.geometry import HEADER_SIZE, OPEN_IN_BOOT, Geometry
from geuwsgi.cache.log import Log
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.cache.table import Table
from geuwsgi.cache.verify import find_damage
from geuwsgi.errors import StartupError
from geuwsgi.shared.region import Region, reserve


def open_store(spec: CacheSpec, log: Log) -> Cache:
    """Open the store of a cache, or make it.

    A store of other sizes is converted. Raises ``StartupError`` if the file cannot be
    opened or another instance has it open.
    """
    fd = _open(spec)
    try:
        size = os.fstat(fd).st_size
        if not size:
            return _fresh(spec, fd, log)
        cache, damage = _stored(spec, fd, size, log)
        if cache is None:
            kept = _keep_copy(spec.store)
            log(
                f'the store of cache "{spec.name}" is damaged, {damage}: {spec.store}'
                f" is kept as {kept} and the cache begins empty"
            )
            os.close(fd)
            fd = _open(spec)
            return _fresh(spec, fd, log)
    except OSError as exc:
        os.close(fd)
        raise _refusal(spec, exc.strerror or str(exc)) from exc
    if _sizes(cache.table.geometry) == _sizes(fresh_geometry(spec)):
        return cache
    try:
        return _converted(spec, cache, log)
    except OSError as exc:
        Path(_new_path(spec)).unlink(missing_ok=True)
        fcntl.flock(cache.region.fd, fcntl.LOCK_UN)
        cache.region.close()
        raise _refusal(spec, f"in its new size, {exc.strerror or exc}") from exc


def close_store(cache: Cache) -> None:
    """Mark the store as closed in good order, or delete it if that was asked for."""
    cache.table._words[OPEN_IN_BOOT] = 0
    cache.region.memory.flush()
    # The mapping keeps a descriptor of its own, and with it the lock.
    fcntl.flock(cache.region.fd, fcntl.LOCK_UN)
    if cache.spec.store_delete:
        Path(cache.spec.store).unlink(missing_ok=True)


def copy_items(old: Table, new: Table) -> None:
    """Copy what still fits from one table to another."""
    for key, value, expires in old.entries():
        new.set(key, value, expires)


def _open(spec: CacheSpec) -> int:
    try:
        fd = os.open(spec.store, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise _refusal(spec, exc.strerror or str(exc)) from exc
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(fd)
        raise _refusal(spec, "another instance has it open") from exc
    return fd


def _refusal(spec: CacheSpec, why: str) -> StartupError:
    return StartupError(
        f'cannot open {spec.store}, the store of cache "{spec.name}": {why}'
    )


def _fresh(spec: CacheSpec, fd: int, log: Log) -> Cache:
    geometry = fresh_geometry(spec)
    reserve(fd, geometry.size)
    region = Region(spec.store, fd, geometry.size)
    return _opened(attach(spec, region, log, fresh=geometry))


def _stored(spec: CacheSpec, fd: int, size: int, log: Log) -> tuple[Cache | None, str]:
    """Return the cache that lies in the file, or what is wrong with the file."""
    try:
        geometry = Geometry.decode(os.pread(fd, HEADER_SIZE, 0))
    except ValueError as exc:
        return None, str(exc)
    if size != geometry.size:
        return None, f"it has {size} bytes instead of {geometry.size}"
    reserve(fd, size)  # a copy of it may have holes
    # A descriptor of its own: the region closes it if the file is refused.
    region = Region(spec.store, os.dup(fd), size)
    cache = attach(spec, region, log, renew_mutex=True)
    boot = cache.table._words[OPEN_IN_BOOT]
    if boot and boot != _this_boot():
        damage = "the machine went down while it was in use"
    else:
        damage = find_damage(cache.table)
    if damage:
        region.close()
        return None, damage
    os.close(fd)
    return _opened(cache), ""


def _converted(spec: CacheSpec, old: Cache, log: Log) -> Cache:
    """Put the items of a store of other sizes into a new file in its place."""
    path = _new_path(spec)
    Path(path).unlink(missing_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    cache = _fresh(spec, fd, log)
    copy_items(old.table, cache.table)
    os.rename(path, spec.store)
    old.region.close()
    log(f'the store of cache "{spec.name}" was converted to its new size')
    return cache


def _new_path(spec: CacheSpec) -> str:
    return f"{spec.store}.new"


def _opened(cache: Cache) -> Cache:
    cache.table._words[OPEN_IN_BOOT] = _this_boot()
    return cache


def _this_boot() -> int:
    """Return a number that is another one after the machine was started again."""
    try:
        identity = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return uuid.UUID(identity).int >> 65 | 1
    except (OSError, ValueError):
        return 1


def _keep_copy(path: str) -> str:
    kept = f"{path}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    count = 0
    name = kept
    while os.path.exists(name):
        count += 1
        name = f"{kept}-{count}"
    os.rename(path, name)
    return name


def _sizes(geometry: Geometry) -> tuple[int, int, int, int, bool]:
    return (
        geometry.items,
        geometry.blocks,
        geometry.blocksize,
        geometry.keysize,
        geometry.bitmap,
    )
