"""When the signals of timers, crons and watched files are due.

The master asks ``tick`` whenever ``next_deadline`` has come, and at least once a second,
because processes add entries to the table at any time. Pure logic over the table: the
times are given, signals go out through a function.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from geuwsgi.background.cron import CronTimes, is_new_minute
from geuwsgi.shared.signaltable import SignalTable, Timer


@dataclass(slots=True)
class _Running:
    """A timer that was seen: when it is due, and how often it may still be."""

    timer: Timer
    due: float
    left: int


class Timetable:
    """``send`` raises a signal. Times are monotonic seconds unless they say unix."""

    def __init__(self, table: SignalTable, send: Callable[[int], object]) -> None:
        self._table = table
        self._send = send
        self._timers: list[_Running] = []
        self._rb_timers: list[_Running] = []
        self._minute = -1

    def next_deadline(self) -> float:
        """Return when ``tick`` has to be called at the latest, as far as is known."""
        return min(
            (r.due for r in (*self._timers, *self._rb_timers) if r.left != 0),
            default=math.inf,
        )

    def tick(self, now: float, unix_now: float) -> None:
        """Take in new entries and raise what is due.

        A timer that is late is raised once and then keeps its distance: beats that
        were missed are not made up for. A cron is looked at once each minute,
        also if the clock goes back a little.
        """
        self._take_in(self._timers, self._table.timers(), now)
        self._take_in(self._rb_timers, self._table.rb_timers(), now)
        for running in (*self._timers, *self._rb_timers):
            if running.left != 0 and running.due <= now:
                self._send(running.timer.signal)
                running.left -= running.left > 0
                interval = running.timer.interval_ms / 1000
                running.due = max(running.due + interval, now + interval / 2)
        minute = int(unix_now // 60)
        if is_new_minute(minute, self._minute):
            if self._minute >= 0:
                self._raise_crons(unix_now)
            self._minute = minute

    def _raise_crons(self, unix_now: float) -> None:
        moment = time.localtime(unix_now)
        for cron in self._table.crons():
            times = CronTimes(
                cron.minute, cron.hour, cron.day, cron.month, cron.weekday
            )
            if times.matches(moment):
                self._send(cron.signal)

    @staticmethod
    def _take_in(running: list[_Running], timers: list[Timer], now: float) -> None:
        for timer in timers[len(running) :]:
            due = now + timer.interval_ms / 1000
            running.append(_Running(timer, due, timer.iterations or -1))
