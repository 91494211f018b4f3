"""What the server does for metrics once a second: collect, compare, write to files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.shared.keyval import parse_keyval
from geuwsgi.shared.metrics import Metrics, MetricSpec

Read = Callable[[str], int | None]


class Collector:
    """Sets the metrics that have a collector. ``read`` gives any metric's value."""

    def __init__(self, metrics: Metrics, read: Read) -> None:
        self._metrics = metrics
        self._read = read
        self._due: dict[str, float] = {}

    def tick(self, now: float) -> None:
        """Collect what is due at ``now``, monotonic seconds."""
        for spec in self._metrics.specs:
            if spec.is_collected and self._due.get(spec.name, 0.0) <= now:
                self._due[spec.name] = now + max(1, spec.freq)
                value = self._collect(spec)
                if value is not None:
                    self._metrics.set(spec.name, value)

    def _collect(self, spec: MetricSpec) -> int | None:
        if spec.collector == "file":
            return _read_number(spec.arg1)
        values = [self._read(child) or 0 for child in spec.children]
        total = sum(values)
        if spec.collector == "sum":
            return total
        if spec.collector == "avg":
            return total // len(values) if values else 0
        if spec.collector == "adder":
            return total + spec.arg1n
        if spec.collector == "multiplier":
            return total * spec.arg1n
        return (self._metrics.get(spec.name) or 0) + total  # accumulator


def _read_number(path: str) -> int | None:
    """Return the number a file begins with; None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return int(file.read(64).split()[0])
    except (OSError, ValueError, IndexError):
        return None


@dataclass(slots=True)
class Threshold:
    """Raise ``alarm`` while a metric is not below ``value``, every ``rate`` seconds."""

    metric: str
    value: int
    alarm: str
    message: str = ""
    rate_s: int = 0
    reset: int | None = None
    quiet_until: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Return the threshold of a ``metric-alarm`` line. Raises ConfigError."""
        given = {key: value or "" for key, value in parse_keyval(text)}
        name = given.get("key") or given.get("name") or ""
        try:
            value = int(given.get("value", ""))
            rate = int(given.get("rate") or 0)
            reset = int(given["reset"]) if given.get("reset") else None
        except ValueError:
            raise ConfigError(f"metric-alarm: a value is no number: {text!r}") from None
        if not name:
            raise ConfigError(f"metric-alarm: no metric is named: {text!r}")
        return cls(
            name,
            value,
            given.get("alarm", ""),
            given.get("msg") or f"metric {name} reached {value}",
            rate,
            reset,
        )

    def is_due(self, value: int, now: float) -> bool:
        """Tell whether to raise the alarm now, and note that it was raised."""
        if value < self.value or now < self.quiet_until:
            return False
        self.quiet_until = now + self.rate_s
        return True


class MetricFiles:
    """One file for each metric, with its value as text (uWSGI: ``metrics-dir``)."""

    def __init__(self, directory: str) -> None:
        """Raises StartupError if there is no such directory."""
        if not os.path.isdir(directory):
            raise StartupError(f"metrics-dir: {directory} is no directory")
        self._directory = directory
        self._written: dict[str, int] = {}

    def restore(self, name: str) -> int | None:
        """Return the value that a file holds."""
        return _read_number(os.path.join(self._directory, name))

    def write(self, name: str, value: int) -> None:
        """Write a value that changed; what cannot be written is left."""
        if self._written.get(name) == value:
            return
        self._written[name] = value
        path = os.path.join(self._directory, name)
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                # A reader never sees a half: one short write, then what is too long.
                text = b"%d\n" % value
                os.pwrite(fd, text, 0)
                os.ftruncate(fd, len(text))
            finally:
                os.close(fd)
