"""The process ids of mules and spoolers, and what may be set for all of them.

One small region; each process writes its own line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geuwsgi.shared.region import Region

_SPOOLER_FREQUENCY_MS = 0
_FIRST_PID = 8


class Roster:
    """``mules`` and ``spoolers`` are how many of each there are."""

    def __init__(self, region: Region, *, mules: int, spoolers: int) -> None:
        self.region = region
        self.mules = mules
        self.spoolers = spoolers
        self._words = memoryview(region.memory).cast("q")

    @classmethod
    def create(cls, *, mules: int, spoolers: int) -> Roster:
        size = 8 * (_FIRST_PID + mules + spoolers)
        return cls(Region.create("roster", size), mules=mules, spoolers=spoolers)

    def descriptors(self) -> list[int]:
        return [self.region.fd]

    def to_wire(self) -> dict[str, Any]:
        return {
            "region": self.region.to_wire(),
            "mules": self.mules,
            "spoolers": self.spoolers,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Roster:
        return cls(
            Region.from_wire(wire["region"]),
            mules=int(wire["mules"]),
            spoolers=int(wire["spoolers"]),
        )

    def set_mule_pid(self, number: int, pid: int) -> None:
        """Note the process of a mule, numbered from 1."""
        self._words[_FIRST_PID + number - 1] = pid

    def set_spooler_pid(self, number: int, pid: int) -> None:
        """Note the process of a spooler, numbered from 1."""
        self._words[_FIRST_PID + self.mules + number - 1] = pid

    def mule_pids(self) -> list[int]:
        return self._words[_FIRST_PID : _FIRST_PID + self.mules].tolist()

    def spooler_pids(self) -> list[int]:
        first = _FIRST_PID + self.mules
        return self._words[first : first + self.spoolers].tolist()

    @property
    def spooler_frequency_s(self) -> float:
        """Seconds between two looks into a spooler's directory; 0: as configured."""
        return self._words[_SPOOLER_FREQUENCY_MS] / 1000

    @spooler_frequency_s.setter
    def spooler_frequency_s(self, seconds: float) -> None:
        self._words[_SPOOLER_FREQUENCY_MS] = int(seconds * 1000)

    def close(self) -> None:
        self._words.release()
        self.region.close()
