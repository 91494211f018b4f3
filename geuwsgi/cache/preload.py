"""What the options put into caches before anything else does."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from geuwsgi.errors import StartupError

if TYPE_CHECKING:
    from geuwsgi.cache.cache import Cache
    from geuwsgi.cache.caches import Caches
    from geuwsgi.cache.log import Log
    from geuwsgi.options.cache import Cache as CacheSection


def preload(caches: Caches, section: CacheSection, log: Log) -> None:
    """Store the items and files that the options name.

    A file is stored under its path as it is written, with ``.gz`` behind it for the
    compressed form. Raises StartupError for a file that cannot be read or stored.
    """
    for text in section.add_cache_item:
        cache, item = _split(caches, text)
        key, equals, value = item.partition("=")
        if not equals or not cache.update(key.encode(), value.encode()):
            raise StartupError(f"add-cache-item: cannot store {text!r}")
        log(f'added "{key}" to cache "{cache.spec.name}"')
    for text in section.load_file_in_cache:
        cache, path = _split(caches, text)
        _store(cache, path, path, _read(path), log)
    for text in section.load_file_in_cache_gzip:
        cache, path = _split(caches, text)
        _store(cache, path, path + ".gz", gzip.compress(_read(path)), log)


def _split(caches: Caches, text: str) -> tuple[Cache, str]:
    """Return the cache and the rest of a value that may begin with a cache's name."""
    name, blank, rest = text.partition(" ")
    named = caches.local(name) if blank else None
    if named is not None:
        return named, rest.strip()
    first = caches.local()
    if first is None:
        raise StartupError(f"there is no cache to put {text!r} into")
    return first, text


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        raise StartupError(f"load-file-in-cache: {path}: {exc.strerror}") from exc


def _store(cache: Cache, path: str, key: str, octets: bytes, log: Log) -> None:
    if not cache.update(key.encode(), octets):
        raise StartupError(
            f"load-file-in-cache: {path} ({len(octets)} bytes) does not fit into"
            f' cache "{cache.spec.name}"'
        )
    log(f'added file "{path}" to cache "{cache.spec.name}"')
