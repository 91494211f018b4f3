"""A hundred numbers for a network's management station (uWSGI: ``snmp``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geuwsgi.shared.mutex import MUTEX_SIZE, Wait, make_mutex
from geuwsgi.shared.region import Region

NUMBERS = 100
# The kinds, as SNMP tags them.
COUNTER32, GAUGE, COUNTER64 = 0x41, 0x42, 0x46
# The longest name of a community, behind its length.
_LONGEST = 127
_COMMUNITY_AT = MUTEX_SIZE + 9 * NUMBERS
_SIZE = _COMMUNITY_AT + 1 + _LONGEST
_LIMITS = {COUNTER32: 1 << 32, GAUGE: 1 << 32, COUNTER64: 1 << 64}


class SnmpNumbers:
    """Numbered from 1. Each has a kind once it was set or changed."""

    def __init__(self, region: Region, *, fresh: bool) -> None:
        self.region = region
        self.mutex = make_mutex(region.memory, 0, fd=region.fd, fresh=fresh)
        view = memoryview(region.memory)[MUTEX_SIZE:]
        self._values = view[: 8 * NUMBERS].cast("Q")
        self._kinds = view[8 * NUMBERS : 9 * NUMBERS]

    @classmethod
    def create(cls) -> SnmpNumbers:
        return cls(Region.create("snmp", _SIZE), fresh=True)

    def descriptors(self) -> list[int]:
        return [self.region.fd]

    def to_wire(self) -> dict[str, Any]:
        return {"region": self.region.to_wire()}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> SnmpNumbers:
        return cls(Region.from_wire(wire["region"]), fresh=False)

    def enter_process(self, wait: Wait) -> None:
        self.mutex.wait = wait

    def close(self) -> None:
        self._values.release()
        self.region.close()

    def set(self, number: int, kind: int, value: int) -> bool:
        """Set a number; False if there is none with that number."""
        if not 0 < number <= NUMBERS:
            return False
        self.mutex.call(self._set, number - 1, kind, value)
        return True

    def add(self, number: int, kind: int, amount: int) -> bool:
        """Add to a number, which becomes of that kind."""
        if not 0 < number <= NUMBERS:
            return False
        self.mutex.call(self._add, number - 1, kind, amount)
        return True

    def get(self, number: int) -> tuple[int, int] | None:
        """Return (kind, value), None if it was never set."""
        if not 0 < number <= NUMBERS or not self._kinds[number - 1]:
            return None
        return self._kinds[number - 1], self._values[number - 1]

    @property
    def community(self) -> bytes:
        """Who may ask: what a request must say. Empty: nobody."""
        at = _COMMUNITY_AT
        return self.region.memory[at + 1 : at + 1 + self.region.memory[at]]

    def set_community(self, name: bytes) -> None:
        """Raises ValueError for a name over 127 bytes."""
        if len(name) > _LONGEST:
            raise ValueError(f"an SNMP community of {len(name)} bytes is too long")
        at = _COMMUNITY_AT
        self.region.memory[at : at + 1 + len(name)] = bytes((len(name),)) + name

    def _set(self, place: int, kind: int, value: int) -> None:
        self._kinds[place] = kind
        self._values[place] = value % _LIMITS[kind]

    def _add(self, place: int, kind: int, amount: int) -> None:
        self._set(place, kind, self._values[place] + amount)
