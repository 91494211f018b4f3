"""What one ``cache2 =`` line asks for.

Text to a specification and nothing else: no memory is made here.

uWSGI reads the numbers with ``atoi``, takes a flag for set whatever its value and
ignores unknown keys. Here ``bitmap=0`` is off, a bare ``bitmap`` is on, a number that
is none is an error, and unknown keys end up in ``unknown`` so that they can be told.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geuwsgi.errors import ConfigError
from geuwsgi.options.cache import Cache as CacheSection
from geuwsgi.protocol.urls import without_secrets
from geuwsgi.shared.keyval import parse_keyval

_NUMBER = re.compile(r"(\d+)([kmg]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_FALSE = ("0", "false", "no", "off")

_SAME = {
    "maxitems": "items",
    "max_items": "items",
    "nodes": "node",
    "udp_server": "udp",
    "udp_servers": "udp",
    "lru": "purge_lru",
    "lazy": "lazy_expire",
}
_NUMBERS = (
    "items",
    "blocksize",
    "blocks",
    "hashsize",
    "keysize",
    "store_sync",
    "math_initial",
)
_TEXTS = ("name", "hash", "store", "sync", "backend")
_LISTS = ("node", "udp")
_FLAGS = (
    "bitmap",
    "store_delete",
    "lastmod",
    "ignore_full",
    "purge_lru",
    "lazy_expire",
    "sweep_on_full",
    "clear_on_full",
    "no_expire",
)
# Seconds, of caches kept on another server.
_SECONDS = ("timeout", "local_ttl")
# Servers that a cache may be kept on, by the scheme of their URL.
BACKENDS = ("redis", "rediss", "unix", "valkey", "valkeys")
HASHES = ("djb33x", "murmur2", "rand", "rr")


@dataclass(frozen=True)
class CacheSpec:
    """One cache as it was asked for."""

    name: str
    items: int = 0
    blocksize: int = 65536
    blocks: int = 0
    hash: str = "djb33x"
    hashsize: int = 65536
    keysize: int = 2048
    bitmap: bool = False
    store: str = ""
    store_sync: int = 0
    store_delete: bool = False
    node: tuple[str, ...] = ()
    udp: tuple[str, ...] = ()
    sync: str = ""
    lastmod: bool = False
    math_initial: int = 0
    ignore_full: bool = False
    purge_lru: bool = False
    lazy_expire: bool = False
    sweep_on_full: bool = False
    clear_on_full: bool = False
    no_expire: bool = False
    backend: str = ""
    timeout: float = 1.0
    local_ttl: float = 0.0
    unknown: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, origin: str = "") -> CacheSpec:
        """Return what ``text`` asks for. Raises ``ConfigError``."""
        given: dict[str, Any] = {}
        unknown: list[str] = []
        for key, value in parse_keyval(text):
            name = _SAME.get(key, key)
            if name in _FLAGS:
                given[name] = value is None or value.lower() not in _FALSE
            elif name in _NUMBERS:
                given[name] = _number(key, value, origin)
            elif name in _SECONDS:
                given[name] = _seconds(key, value, origin)
            elif name in _TEXTS:
                given[name] = value or ""
            elif name in _LISTS:
                given[name] = tuple(v for v in (value or "").split(";") if v)
            else:
                unknown.append(key)
        if not given.get("name"):
            raise ConfigError(
                f"a cache needs a name: {without_secrets(text)!r}", origin
            )
        spec = cls(**given, unknown=tuple(unknown))
        spec.check(origin)
        return spec

    def to_wire(self) -> dict[str, Any]:
        """Return JSON-able data for ``from_wire``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> CacheSpec:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in wire.items()
        }
        return cls(**values)

    def check(self, origin: str = "") -> None:
        """Raise ``ConfigError`` if the sizes do not go together."""

        def refuse(what: str) -> ConfigError:
            return ConfigError(f"cache {self.name!r}: {what}", origin)

        if self.backend:
            scheme = self.backend.partition("://")[0]
            if scheme not in BACKENDS or "://" not in self.backend:
                raise refuse(f"there is no backend {without_secrets(self.backend)!r}")
            return
        if not 0 < self.items < 1 << 31:
            raise refuse("the maximum number of items is missing (items=N)")
        if self.blocks and self.blocks < self.items:
            raise refuse(f"{self.blocks} blocks cannot hold {self.items} items")
        if self.blocks >= 1 << 31:
            raise refuse(f"{self.blocks} blocks are too many")
        if not 0 < self.blocksize < 1 << 32:
            raise refuse(f"a blocksize of {self.blocksize} bytes is impossible")
        if not 0 < self.keysize < 1 << 16:
            raise refuse(f"a keysize of {self.keysize} bytes is impossible")
        if self.hash not in HASHES:
            raise refuse(f"there is no hash {self.hash!r}")
        if not -(1 << 63) <= self.math_initial < 1 << 63:
            raise refuse(f"math_initial={self.math_initial} is not a 64-bit number")


def cache_specs(section: CacheSection) -> list[CacheSpec]:
    """Return the caches that the options ask for, the default one first.

    Raises ``ConfigError`` for the first line that is wrong.
    """
    specs = []
    if section.cache:
        specs.append(
            CacheSpec(
                name="default",
                items=section.cache,
                blocksize=section.cache_blocksize,
                store=section.cache_store or "",
                store_sync=section.cache_store_sync,
                node=section.cache_udp_node,
                udp=section.cache_udp_server,
                sync=section.cache_sync or "",
                lastmod=section.cache_use_last_modified,
                no_expire=section.cache_no_expire,
            )
        )
        specs[0].check()
    for text in section.cache2:
        spec = CacheSpec.parse(text)
        if any(spec.name == other.name for other in specs):
            raise ConfigError(f"there are two caches with the name {spec.name!r}")
        specs.append(spec)
    return specs


def _number(key: str, value: str | None, origin: str) -> int:
    text = value or ""
    negative = key == "math_initial" and text.startswith("-")
    match = _NUMBER.fullmatch(text[1:] if negative else text)
    if match is None:
        raise ConfigError(f"cache2: {key}={text}: {text!r} is no number", origin)
    number = int(match[1]) * _UNITS[match[2].lower()]
    return -number if negative else number


def _seconds(key: str, value: str | None, origin: str) -> float:
    try:
        seconds = float(value or "")
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"cache2: {key}={value}: not a number of seconds", origin)
    return seconds
