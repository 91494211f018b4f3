"""The duty that takes the changes which other servers' caches tell of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geuwsgi.cache.cache import Cache
from geuwsgi.cache.peers import apply_change
from geuwsgi.errors import RemoteProtocolError
from geuwsgi.master.datagrams import DatagramDuty
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.prepared import Prepared
from geuwsgi.protocol.cache_peers import decode_change
from geuwsgi.shared.mutex import MutexTimeout

_LARGEST = 65535
# Datagrams taken in one turn of the loop.
_AT_ONCE = 64


def cache_peer_duties(prepared: Prepared, log: Callable[[str], None]) -> list[Duty]:
    """One for each address on which a cache hears its peers."""
    return [
        CachePeerDuty(cache, address, log)
        for cache in prepared.commons.caches
        for address in cache.spec.udp
    ]


class CachePeerDuty(DatagramDuty):
    """Nothing in a datagram says who sent it: the address must not be reachable for
    others.
    """

    def __init__(self, cache: Cache, address: str, log: Callable[[str], None]) -> None:
        super().__init__(
            address, "cache udp server", largest=_LARGEST, at_once=_AT_ONCE
        )
        self.key = ("cache peers", address, cache.spec.name)
        self._cache = cache
        self._log = log

    def begin(self, desk: Desk) -> None:
        super().begin(desk)
        name = self._cache.spec.name
        self._log(f'*** udp server for cache "{name}" running on {self._address} ***')

    def follow(self, successor: Duty) -> None:
        assert isinstance(successor, CachePeerDuty)
        self._cache = successor._cache

    def heard(self, datagram: bytes, peer: Any) -> bytes:
        try:
            apply_change(self._cache, decode_change(datagram))
        except RemoteProtocolError as exc:
            self._log(f"cache peer {peer[0]}: {exc}")
        except MutexTimeout as exc:
            self._log(f'cache "{self._cache.spec.name}": a change is lost: {exc}')
        return b""
