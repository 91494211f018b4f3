"""How many workers the load asks for: the algorithms of ``cheaper``.

Pure: once a second each gets what was measured and says how many workers more or less
there should be. Bounds are kept by the caller.

uWSGI calls a worker busy while it serves anything, which with gevent is always. Here a
worker's *use* is the larger of two shares: its cores in use, and the time its process
computes. A worker is busy from BUSY_USE on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from geuwsgi.errors import ConfigError

if TYPE_CHECKING:
    from geuwsgi.options import Workers

BUSY_USE: Final = 0.75
DEFAULT_OVERLOAD: Final = 3


@dataclass(frozen=True)
class Load:
    """What was measured. ``uses`` has an entry, 0 to 1, for each running worker."""

    uses: tuple[float, ...]
    backlog: int = 0
    rss: int = 0  # bytes of all workers together

    @property
    def running(self) -> int:
        return len(self.uses)

    @property
    def idle(self) -> int:
        return sum(use < BUSY_USE for use in self.uses)

    @property
    def average_use(self) -> float:
        return sum(self.uses) / len(self.uses) if self.uses else 0.0


class Algorithm(Protocol):
    """``decide`` is called about once a second; the answer is workers more or less."""

    def decide(self, load: Load) -> int: ...


class Spare:
    """More when all are busy, one less when one could do without, for a while.

    As uWSGI counts: ``overload`` busy cycles are borne and the next one is too many; a
    quiet one takes back one of them.
    """

    def __init__(self, *, step: int, overload: int) -> None:
        self._step = step
        self._overload = overload
        self._busy_cycles = 0
        self._idle_cycles = 0

    def decide(self, load: Load) -> int:
        if load.idle == 0:
            self._idle_cycles = 0
            self._busy_cycles += 1
            if self._busy_cycles > self._overload:
                self._busy_cycles = 0
                return self._step
            return 0
        self._busy_cycles = max(0, self._busy_cycles - 1)
        # The others must be able to take over what it does.
        if self._busy_cycles or load.idle < 2:
            self._idle_cycles = 0
            return 0
        self._idle_cycles += 1
        if self._idle_cycles >= self._overload:
            self._idle_cycles = 0
            return -1
        return 0


class Spare2:
    """Keeps ``minimum`` idle workers; a spare one goes after ``idle_s`` seconds."""

    def __init__(self, *, minimum: int, step: int, idle_s: float) -> None:
        self._minimum = minimum
        self._step = step
        self._idle_s = idle_s
        self._spare_cycles = 0

    def decide(self, load: Load) -> int:
        if load.idle < self._minimum:
            self._spare_cycles = 0
            return min(self._step, self._minimum - load.idle)
        if load.idle == self._minimum:
            self._spare_cycles = 0
            return 0
        self._spare_cycles += 1
        if self._spare_cycles >= self._idle_s:
            self._spare_cycles = 0
            return -1
        return 0


class Backlog:
    """More while more than ``overload`` connections wait to be accepted."""

    def __init__(self, *, step: int, overload: int) -> None:
        self._step = step
        self._overload = overload

    def decide(self, load: Load) -> int:
        if load.backlog > self._overload:
            return self._step
        if load.backlog <= self._overload / 2 and load.idle > 1:
            return -1
        return 0


class Manual:
    """Only the fifo changes the number."""

    def decide(self, load: Load) -> int:
        return 0


@dataclass(frozen=True)
class BusynessOptions:
    """The options cheaper-busyness-*, in percent and cycles."""

    high: int = 50
    low: int = 25
    multiplier: int = 10
    penalty: int = 2
    backlog_alert: int = 33
    backlog_multiplier: int = 3
    backlog_step: int = 1
    backlog_nonzero_s: float = 60.0


class Busyness:
    """Keeps the average use between two bounds.

    The average is taken over windows of ``overload`` seconds. A worker goes after
    ``multiplier`` quiet windows in a row; if it is missed soon after, the patience
    grows by ``penalty``. A long backlog starts emergency workers at once.
    """

    def __init__(self, options: BusynessOptions, *, step: int, overload: int) -> None:
        self._options = options
        self._step = step
        self._window = overload
        self._uses: list[float] = []
        self._quiet_windows = 0
        self._patience = options.multiplier
        self._windows_since_stop = 1 << 30
        self._emergency = 0
        self._calm_cycles = 0
        self._waiting_s = 0

    def decide(self, load: Load) -> int:
        emergency = self._emergency_workers(load)
        if emergency:
            return emergency
        self._uses.append(load.average_use)
        if len(self._uses) < self._window:
            return 0
        percent = 100 * sum(self._uses) / len(self._uses)
        self._uses.clear()
        self._windows_since_stop += 1
        if percent > self._options.high:
            self._quiet_windows = 0
            if self._windows_since_stop <= self._options.multiplier:
                self._patience += self._options.penalty
            return self._step
        if percent >= self._options.low:
            self._quiet_windows = 0
            return 0
        self._quiet_windows += 1
        if self._quiet_windows < self._patience:
            return 0
        self._quiet_windows = 0
        self._windows_since_stop = 0
        return -1

    def _emergency_workers(self, load: Load) -> int:
        options = self._options
        self._waiting_s = self._waiting_s + 1 if load.backlog else 0
        if load.backlog >= options.backlog_alert > 0:
            self._emergency += options.backlog_step
            self._calm_cycles = 0
            return options.backlog_step
        if 0 < options.backlog_nonzero_s <= self._waiting_s:
            self._waiting_s = 0
            self._emergency += 1
            self._calm_cycles = 0
            return 1
        if self._emergency and not load.backlog:
            self._calm_cycles += 1
            if self._calm_cycles >= options.backlog_multiplier:
                self._calm_cycles = 0
                self._emergency -= 1
                return -1
        return 0


class Adaptive:
    """An algorithm within its bounds: workers, and memory."""

    def __init__(
        self,
        algorithm: Algorithm,
        *,
        minimum: int,
        maximum: int,
        rss_soft: int = 0,
        rss_hard: int = 0,
    ) -> None:
        self._algorithm = algorithm
        self._minimum = minimum
        self._maximum = maximum
        self._rss_soft = rss_soft
        self._rss_hard = rss_hard

    def wanted(self, now_wanted: int, load: Load) -> int:
        """How many workers there should be."""
        change = self._algorithm.decide(load)
        if self._rss_hard and load.rss > self._rss_hard:
            change = -1
        elif self._rss_soft and load.rss > self._rss_soft:
            change = min(change, 0)
        return max(self._minimum, min(self._maximum, now_wanted + change))


def adaptive_of(workers: Workers) -> Adaptive | None:
    """What the options cheaper* ask for. Raises ConfigError for what cannot be."""
    if not workers.cheaper:
        return None
    if workers.cheaper >= workers.processes:
        raise ConfigError(
            f"cheaper: {workers.cheaper} must be less than processes "
            f"({workers.processes})"
        )
    return Adaptive(
        _algorithm(workers),
        minimum=workers.cheaper,
        maximum=workers.processes,
        rss_soft=workers.cheaper_rss_limit_soft,
        rss_hard=workers.cheaper_rss_limit_hard,
    )


def _algorithm(workers: Workers) -> Algorithm:
    name = workers.cheaper_algo or "spare"
    step = workers.cheaper_step or 1
    overload = workers.cheaper_overload or DEFAULT_OVERLOAD
    if name == "spare":
        return Spare(step=step, overload=overload)
    if name == "spare2":
        return Spare2(
            minimum=workers.cheaper, step=step, idle_s=workers.cheaper_idle or 10.0
        )
    if name == "backlog":
        return Backlog(step=step, overload=overload)
    if name == "manual":
        return Manual()
    if name == "busyness":
        options = BusynessOptions(
            high=workers.cheaper_busyness_max,
            low=workers.cheaper_busyness_min,
            multiplier=workers.cheaper_busyness_multiplier,
            penalty=workers.cheaper_busyness_penalty,
            backlog_alert=workers.cheaper_busyness_backlog_alert,
            backlog_multiplier=workers.cheaper_busyness_backlog_multiplier,
            backlog_step=workers.cheaper_busyness_backlog_step,
            backlog_nonzero_s=workers.cheaper_busyness_backlog_nonzero,
        )
        return Busyness(options, step=step, overload=overload)
    raise ConfigError(
        f"cheaper-algo: unknown algorithm {name!r} "
        "(known: backlog, busyness, manual, spare, spare2)"
    )
