"""Caches."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, SECONDS, TEXT, TEXTS, Takes


class Cache(Section):
    """Caches."""

    add_cache_item: tuple[str, ...] = option(
        "preload key=value into the cache ([cachename ]key=value)", TEXTS
    )
    cache: int = option(
        "first generation shared cache of N items (becomes the default cache)",
        INT,
        at_least=0,
        when_true=100,
    )
    cache_blocksize: int = option(
        "block size of that cache (default 65536)", BYTES, default=65536, at_least=0
    )
    cache_expire_freq: float = option(
        "sweeper period in seconds (default 3)", SECONDS, default=3.0, at_least=0
    )
    cache_no_expire: bool = option("disable the expiry sweeper", FLAG)
    cache_report_freed_items: bool = option("log each item freed by the sweeper", FLAG)
    cache_store: str | None = option(
        "memory-mapped file that persists that cache", TEXT, implies=("master",)
    )
    cache_store_sync: int = option("msync period in master cycles", INT, at_least=0)
    cache_sync: str | None = option(
        "fetch all contents from another server at startup", TEXT
    )
    cache_udp_node: tuple[str, ...] = option(
        "UDP peer that is told about cache changes", TEXTS, implies=("master",)
    )
    cache_udp_server: tuple[str, ...] = option(
        "UDP address that accepts cache set/del from peers", TEXTS, implies=("master",)
    )
    cache_use_last_modified: bool = option(
        "maintain last_modified_at for every write", FLAG
    )
    cache2: tuple[str, ...] = option(
        "named cache defined by keyval options (name,items,blocksize,...)", TEXTS
    )
    check_cache: str | None = option(
        "serve the response body found in a cache under the request path",
        TEXT,
        takes=Takes.MAYBE,
    )
    load_file_in_cache: tuple[str, ...] = option(
        "preload a file ([cachename ]path) under its path", TEXTS
    )
    load_file_in_cache_gzip: tuple[str, ...] = option("same, gzip-compressed", TEXTS)
