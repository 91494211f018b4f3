"""A clock that goes only when it is told to."""

from __future__ import annotations


class FakeClock:
    """Stands wherever a ``Callable[[], float]`` like `time.monotonic` is wanted.

    ``clock()`` returns the present in seconds; only `advance` moves it.
    """

    __slots__ = ("_now",)

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> float:
        """Let ``seconds`` pass and return the new time.

        Raises ValueError if ``seconds`` is negative: no clock that code here relies
        on ever goes back.
        """
        if seconds < 0:
            raise ValueError(f"a clock cannot go back: {seconds} seconds")
        self._now += seconds
        return self._now

    def __repr__(self) -> str:
        return f"FakeClock({self._now!r})"
