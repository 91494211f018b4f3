"""Numbers with names that all processes may change and the statistics show.

A metric of the application's own is a 64-bit word in shared memory; changing it takes a
mutex, reading it does not. What the server counts itself is read where it stands
(:mod:`geuwsgi.background.builtinmetrics`) and has no word here.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from geuwsgi.errors import ConfigError
from geuwsgi.shared.arithmetic import wrap
from geuwsgi.shared.keyval import parse_keyval
from geuwsgi.shared.mutex import MUTEX_SIZE, Wait, make_mutex
from geuwsgi.shared.region import Region

TYPES = {"counter": 0, "gauge": 1, "absolute": 2, "alias": 3}
COLLECTORS = ("", "ptr", "file", "sum", "avg", "accumulator", "adder", "multiplier")
_KEYS = {
    "name": "name",
    "oid": "oid",
    "type": "type",
    "collector": "collector",
    "initial_value": "initial_value",
    "freq": "freq",
    "children": "children",
    "alias": "alias",
    "arg1": "arg1",
    "arg1n": "arg1n",
}
_IGNORED = ("reset_after_push", "arg2", "arg3", "arg2n", "arg3n")
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,255}")


@dataclass(frozen=True)
class MetricSpec:
    """One metric as its line asks for it."""

    name: str
    oid: str = ""
    type: str = "counter"
    collector: str = ""
    initial_value: int = 0
    freq: int = 1
    children: tuple[str, ...] = ()
    alias: str = ""
    arg1: str = ""
    arg1n: int = 0

    @classmethod
    def parse(cls, text: str) -> MetricSpec:
        """Return what ``name`` or ``name=…,…`` asks for. Raises ConfigError."""
        if "=" not in text:
            return cls._checked(name=text.strip())
        given: dict[str, Any] = {}
        for key, value in parse_keyval(text):
            if key in _KEYS:
                given[_KEYS[key]] = _value(key, value or "")
            elif key not in _IGNORED:
                raise ConfigError(f"metric: unknown key {key!r} in {text!r}")
        return cls._checked(**given)

    @classmethod
    def _checked(cls, **given: Any) -> MetricSpec:
        if not _NAME.fullmatch(given.get("name", "")):
            raise ConfigError(f"a metric needs a name, not {given.get('name', '')!r}")
        if given.get("alias"):
            given["type"] = "alias"
        spec = cls(**given)
        if spec.type not in TYPES:
            raise ConfigError(f"metric {spec.name}: there is no type {spec.type!r}")
        if spec.collector not in COLLECTORS:
            raise ConfigError(
                f"metric {spec.name}: there is no collector {spec.collector!r}"
            )
        return spec

    @property
    def is_collected(self) -> bool:
        """Whether the server sets it, and the application may not."""
        return self.collector not in ("", "ptr")


def _value(key: str, text: str) -> Any:
    if key == "children":
        return tuple(child for child in text.split(";") if child)
    if key in ("initial_value", "freq", "arg1n"):
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"metric: {key}={text} is no number") from None
    return text


class Metrics:
    """The application's metrics. Functions return None for what cannot be done."""

    def __init__(
        self, region: Region, specs: Iterable[MetricSpec], *, fresh: bool
    ) -> None:
        self.region = region
        self.specs = tuple(specs)
        self.mutex = make_mutex(region.memory, 0, fd=region.fd, fresh=fresh)
        self._words = memoryview(region.memory)[MUTEX_SIZE:].cast("q")
        self._places = {spec.name: place for place, spec in enumerate(self.specs)}
        for place, spec in enumerate(self.specs):
            if spec.oid:
                self._places.setdefault(spec.oid, place)
        if fresh:
            for place, spec in enumerate(self.specs):
                self._words[place] = spec.initial_value

    @classmethod
    def create(cls, lines: Iterable[str]) -> Metrics:
        """Make the metrics that the lines ask for. Raises ConfigError."""
        specs = [MetricSpec.parse(line) for line in lines]
        names = [spec.name for spec in specs]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"there are two metrics with the name {name!r}")
        region = Region.create("metrics", MUTEX_SIZE + 8 * max(1, len(specs)))
        return cls(region, specs, fresh=True)

    def descriptors(self) -> list[int]:
        return [self.region.fd]

    def to_wire(self) -> dict[str, Any]:
        return {
            "region": self.region.to_wire(),
            "specs": [asdict(spec) for spec in self.specs],
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Metrics:
        specs = [
            MetricSpec(**{**entry, "children": tuple(entry["children"])})
            for entry in wire["specs"]
        ]
        return cls(Region.from_wire(wire["region"]), specs, fresh=False)

    def enter_process(self, wait: Wait) -> None:
        self.mutex.wait = wait

    def close(self) -> None:
        self._words.release()
        self.region.close()

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def get(self, name: str) -> int | None:
        """Return a value, by name or oid; None if there is no such metric here."""
        place = self._find(name)
        return None if place is None else self._words[place]

    def change(
        self, name: str, function: Callable[[int, int], int], amount: int
    ) -> bool:
        """Replace a value by a function of it; False if that must not be."""
        place = self._find(name)
        if place is None or self.specs[place].is_collected:
            return False
        self.mutex.call(self._apply, place, function, amount)
        return True

    def set(self, name: str, value: int) -> None:
        """Set a metric, for the server."""
        place = self._places[name]
        self.mutex.call(operator.setitem, self._words, place, wrap(value))

    def _find(self, name: str) -> int | None:
        place = self._places.get(name)
        for _ in range(8):  # aliases of aliases, but not for ever
            if place is None or not self.specs[place].alias:
                return place
            place = self._places.get(self.specs[place].alias)
        return None

    def _apply(
        self, place: int, function: Callable[[int, int], int], amount: int
    ) -> None:
        self._words[place] = wrap(function(self._words[place], amount))
