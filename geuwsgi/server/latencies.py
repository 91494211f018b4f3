"""How long the requests of the last minute took: half of them, and all but a hundredth.

An average hides the ones that wait. Times are counted in buckets, eight an octave, so
that a figure is right to a sixteenth however many requests there were, and a request
costs one addition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from geuwsgi.shared import scoreboard

if TYPE_CHECKING:
    from geuwsgi.server.exchange import Exchange

_STEPS = 8
_OCTAVES = 40

#: Seconds after which the older half of what was counted is forgotten.
_HALF_S = 30


class Latencies:
    """Writes percentiles to ``row``, a worker's of the scoreboard, once a second.

    ``then`` is told of each request as well.
    """

    def __init__(
        self, row: memoryview[int], then: Callable[[Exchange], None] | None = None
    ) -> None:
        self._row = row
        self._then = then
        self._ticks = 0
        self._before = _no_counts()
        self._counts = _no_counts()

    def count(self, exchange: Exchange) -> None:
        """Count the ended ``exchange``."""
        self._counts[bucket_of(int(exchange.duration * 1e6))] += 1
        if self._then is not None:
            self._then(exchange)

    def tick(self) -> None:
        """Bring the row up to date. Call it once a second."""
        counts = [a + b for a, b in zip(self._before, self._counts, strict=True)]
        self._row[scoreboard.LATENCY_P50_US] = percentile(counts, 0.5)
        self._row[scoreboard.LATENCY_P99_US] = percentile(counts, 0.99)
        self._ticks += 1
        if self._ticks >= _HALF_S:
            self._ticks = 0
            self._before = self._counts
            self._counts = _no_counts()


def _no_counts() -> list[int]:
    return [0] * (_STEPS * _OCTAVES)


def bucket_of(micros: int) -> int:
    """Return where a time is counted; times of more than a week are one."""
    if micros < _STEPS:
        return max(micros, 0)
    octave = micros.bit_length() - 3
    if octave >= _OCTAVES:
        return _STEPS * _OCTAVES - 1
    return octave * _STEPS + (micros >> (octave - 1)) - _STEPS


def percentile(counts: Sequence[int], share: float) -> int:
    """Return the microseconds that ``share`` of what was counted took at most.

    0 if nothing was counted; else at least 1, to be told from that.
    """
    rank = share * sum(counts)
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if count and seen >= rank:
            return max(1, _middle(bucket))
    return 0


def _middle(bucket: int) -> int:
    octave, step = divmod(bucket, _STEPS)
    if not octave:
        return step
    return ((2 * (_STEPS + step) + 1) << (octave - 1)) // 2
