"""Caches."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, SECONDS, TEXT, TEXTS, Takes


class Cache(Section):
    """Caches."""

    add_cache_item: tuple[str, ...] = option(
        "store an item at start: [cache ]key=value", TEXTS
    )
    cache: int = option(
        "create the default cache, of this many items", INT, at_least=0, when_true=100
    )
    cache_blocksize: int = option(
        "let an item of the default cache hold up to this many bytes",
        BYTES,
        default=65536,
        at_least=0,
    )
    cache_expire_freq: float = option(
        "look for expired items every this many seconds",
        SECONDS,
        default=3.0,
        at_least=0,
    )
    cache_no_expire: bool = option("never look for expired items", FLAG)
    cache_report_freed_items: bool = option("log each item that expires", FLAG)
    cache_store: str | None = option(
        "keep the default cache in this file", TEXT, implies=("master",)
    )
    cache_store_sync: int = option(
        "write the cache file to disk every this many seconds", INT, at_least=0
    )
    cache_sync: str | None = option(
        "fill the default cache from this server at start", TEXT
    )
    cache_udp_node: tuple[str, ...] = option(
        "tell this UDP peer of changes to the cache", TEXTS, implies=("master",)
    )
    cache_udp_server: tuple[str, ...] = option(
        "take changes to the cache from peers on this UDP address",
        TEXTS,
        implies=("master",),
    )
    cache_use_last_modified: bool = option(
        "remember when each item of the default cache was written", FLAG
    )
    cache2: tuple[str, ...] = option(
        "create a cache: name=…,items=…,blocksize=… and more", TEXTS
    )
    check_cache: str | None = option(
        "answer from a cache when it holds the path of the request",
        TEXT,
        takes=Takes.MAYBE,
    )
    load_file_in_cache: tuple[str, ...] = option(
        "store a file at start under its path: [cache ]path", TEXTS
    )
    load_file_in_cache_gzip: tuple[str, ...] = option(
        "store a file at start, compressed: [cache ]path", TEXTS
    )
