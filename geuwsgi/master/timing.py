"""The duty that raises the signals of timers, crons and watched files."""

from __future__ import annotations

import time

from geuwsgi.background.commons import Commons
from geuwsgi.background.filewatch import FileWatch
from geuwsgi.background.timetable import Timetable
from geuwsgi.master.duty import Desk, Duty


class TimingDuty(Duty):
    """What applications registered is in their generation's signal table."""

    def __init__(self, commons: Commons) -> None:
        assert commons.signal_table is not None and commons.router is not None
        self._table = commons.signal_table
        self._router = commons.router
        self._timetable = Timetable(self._table, self._router.send)
        self._watch = FileWatch()
        self._watched = 0
        self._desk: Desk | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        if self._watch.fileno() >= 0:
            desk.watch(self._watch.fileno(), self._look)
        self.tick(time.monotonic())

    def tick(self, now: float) -> None:
        self._timetable.tick(now, time.time())
        files = self._table.files()
        for number in range(self._watched, len(files)):
            self._watch.add(number, files[number].path)
        self._watched = len(files)
        self._look()

    def next_deadline(self) -> float:
        return self._timetable.next_deadline()

    def end(self) -> None:
        if self._desk is not None and self._watch.fileno() >= 0:
            self._desk.unwatch(self._watch.fileno())
        self._watch.close()

    def _look(self) -> None:
        files = self._table.files()
        for number in self._watch.changed():
            self._router.send(files[number].signal)
