"""Caches that tell other servers of their changes, and take over what those have.

``nodes`` are told of each change by a datagram, which may get lost; ``sync`` names a
server whose contents are taken over when the cache is made.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import time
from collections.abc import Iterator

from geuwsgi.cache.cache import Cache
from geuwsgi.cache.log import Log
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.cache.table import Table
from geuwsgi.errors import GeuwsgiError
from geuwsgi.protocol.cache_peers import (
    Change,
    DumpShape,
    Entry,
    encode_change,
    encode_dump,
    encode_dump_request,
    read_dump,
)
from geuwsgi.shared.arithmetic import Arithmetic
from geuwsgi.shared.region import Region

TIMEOUT_S = 4.0
_AGAIN_S = 10.0


class ToldCache(Cache):
    """A cache whose changes are told to the nodes of its specification."""

    __slots__ = ("_addresses", "_asked", "_pid", "_socket")

    def __init__(self, spec: CacheSpec, region: Region, table: Table, log: Log) -> None:
        super().__init__(spec, region, table, log)
        self._pid = 0
        self._socket: socket.socket | None = None
        self._addresses: list[tuple[str, int]] = []
        self._asked = -math.inf

    def set(self, key: bytes, value: bytes, seconds: int = 0) -> bool:
        done = super().set(key, value, seconds)
        return done and self._tell(_change(key, value, seconds))

    def update(self, key: bytes, value: bytes, seconds: int = 0) -> bool:
        done = super().update(key, value, seconds)
        return done and self._tell(_change(key, value, seconds))

    def delete(self, key: bytes) -> bool:
        return super().delete(key) and self._tell(Change(key))

    def change(
        self, key: bytes, arithmetic: Arithmetic, amount: int, seconds: int = 0
    ) -> bool:
        if not super().change(key, arithmetic, amount, seconds):
            return False
        entry = self.table.get_with_expiry(key)
        if entry is not None:
            value, expires = entry
            self._tell(Change(key, value, _as_number(expires)))
        return True

    def _tell(self, change: Change) -> bool:
        with contextlib.suppress(ValueError):  # too long to be told
            datagram = encode_change(change)
            sock, addresses = self._enter_process()
            for address in addresses:
                # Datagrams may get lost, here as anywhere.
                with contextlib.suppress(OSError):
                    sock.sendto(datagram, address)
        return True

    def _enter_process(self) -> tuple[socket.socket, list[tuple[str, int]]]:
        # A socket of another process belongs to its hub.
        if self._socket is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        now = time.monotonic()
        nodes = self.spec.node
        if len(self._addresses) < len(nodes) and now - self._asked > _AGAIN_S:
            self._asked = now
            found = (_look_up(node, self._log) for node in nodes)
            self._addresses = [one for one in found if one is not None]
        return self._socket, self._addresses


def _change(key: bytes, value: bytes, seconds: int) -> Change:
    return Change(key, value, int(time.time()) + seconds if seconds else 0)


def _as_number(expires: float) -> int:
    return 0 if expires == math.inf else int(expires)


def _look_up(node: str, log: Log) -> tuple[str, int] | None:
    host, _, port = node.rpartition(":")
    try:
        found = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_DGRAM)
    except (OSError, ValueError) as exc:
        log(f"a cache's node {node!r} is not told of changes: {exc}")
        return None
    return str(found[0][4][0]), int(found[0][4][1])


def apply_change(cache: Cache, change: Change) -> None:
    """Do what a peer tells of. Nobody else is told."""
    if change.value is None:
        cache.table.delete(change.key)
        return
    expires = float(change.expires) if change.expires else math.inf
    cache.table.update(change.key, change.value, expires)


# Whole contents


def dump(cache: Cache) -> Iterator[bytes]:
    """Yield the contents of a cache as uWSGI sends them."""
    entries = (
        (key, value, _as_number(expires))
        for key, value, expires in cache.table.entries()
    )
    return encode_dump(_shape(cache), entries)


def take_over(cache: Cache, log: Log) -> None:
    """Fill a cache from the first server of ``sync`` that answers.

    Blocks, some seconds at most for each server that is silent. A server that cannot
    be had is told in the log, and the cache stays as it is.
    """
    for address in filter(None, cache.spec.sync.split(";")):
        try:
            count = 0
            for key, value, expires in _ask(address, cache):
                apply_change(cache, Change(key, value, expires))
                count += 1
        except (OSError, GeuwsgiError, ValueError) as exc:
            log(f'cache "{cache.spec.name}": cannot sync from {address}: {exc}')
            continue
        log(f'cache "{cache.spec.name}": {count} items from {address}')
        return


def _ask(address: str, cache: Cache) -> Iterator[Entry]:
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        sock = socket.create_connection((host or "127.0.0.1", int(port)), TIMEOUT_S)
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(TIMEOUT_S)
    with sock:
        if sock.family == socket.AF_UNIX:
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(encode_dump_request(cache.spec.name))
        with sock.makefile("rb") as file:
            yield from read_dump(_shape(cache), file.read)


def _shape(cache: Cache) -> DumpShape:
    spec = cache.spec
    return DumpShape(
        spec.items,
        spec.blocksize,
        spec.keysize,
        (spec.blocks if spec.bitmap else 0) or spec.items,
        spec.bitmap,
    )
