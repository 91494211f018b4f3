from __future__ import annotations

import time

import pytest

from geuwsgi.background.cron import CronTimes
from geuwsgi.background.timetable import Timetable
from geuwsgi.shared.signaltable import Cron, SignalTable, Timer


class Case:
    def __init__(self) -> None:
        self.table = SignalTable.create()
        self.sent: list[int] = []
        self.timetable = Timetable(self.table, self.sent.append)

    def tick(self, now: float, unix_now: float = 0.0) -> list[int]:
        self.sent.clear()
        self.timetable.tick(now, unix_now)
        return list(self.sent)


def test_a_timer_beats_from_when_it_was_seen() -> None:
    case = Case()
    case.table.add_timer(Timer(1, 2000))
    assert case.tick(10.0) == []
    assert case.timetable.next_deadline() == 12.0
    assert case.tick(11.9) == []
    assert case.tick(12.0) == [1]
    assert case.tick(13.0) == []
    assert case.tick(14.1) == [1]
    assert case.timetable.next_deadline() == 16.0


def test_missed_beats_are_not_made_up_for() -> None:
    case = Case()
    case.table.add_timer(Timer(1, 1000))
    case.tick(0.0)
    assert case.tick(10.0) == [1]
    assert case.tick(10.1) == []
    assert case.tick(10.5) == [1]


def test_a_timer_with_iterations_ends() -> None:
    case = Case()
    case.table.add_timer(Timer(1, 1000, 2), rb=True)
    case.tick(0.0)
    assert [case.tick(float(now)) for now in range(1, 5)] == [[1], [1], [], []]
    assert case.timetable.next_deadline() == float("inf")


def test_timers_may_come_later() -> None:
    case = Case()
    case.tick(0.0)
    case.table.add_timer(Timer(1, 1000))
    case.table.add_timer(Timer(2, 1000), rb=True)
    assert case.tick(5.0) == []
    assert case.tick(6.0) == [1, 2]


def test_crons_are_looked_at_once_a_minute() -> None:
    case = Case()
    case.table.add_cron(Cron(9, -1, -1, -1, -1, -1))
    assert case.tick(0.0, 600.0) == []  # the minute it started in is not its own
    assert case.tick(1.0, 659.9) == []
    assert case.tick(2.0, 660.0) == [9]
    assert case.tick(3.0, 661.0) == []
    assert case.tick(4.0, 720.0) == [9]
    # A clock that is put right by some minutes, and one that is set to another day.
    assert case.tick(5.0, 600.0) == []
    assert case.tick(6.0, 720.0) == []
    assert case.tick(7.0, -80_000.0) == [9]


@pytest.mark.parametrize(
    ("times", "moment", "meant"),
    [
        ((-1, -1, -1, -1, -1), "2026-11-25 20:15", True),
        ((15, 20, 25, 11, 3), "2026-11-25 20:15", True),
        ((14, -1, -1, -1, -1), "2026-11-25 20:15", False),
        ((-5, -1, -1, -1, -1), "2026-11-25 20:15", True),
        ((-4, -1, -1, -1, -1), "2026-11-25 20:15", False),
        ((0, -1, -1, -1, -1), "2026-11-25 20:00", True),
        ((0, 0, 1, -1, -1), "2026-12-01 00:00", True),
        ((-1, -1, -1, -3, -1), "2026-12-01 00:00", True),
        ((-1, -1, -1, -5, -1), "2026-12-01 00:00", False),
        ((-1, -1, -1, -1, 0), "2026-11-29 00:00", True),  # a Sunday
        ((-1, -1, -1, -1, 7), "2026-11-29 00:00", True),
        ((-1, -1, -1, -1, 1), "2026-11-29 00:00", False),
        ((-1, -1, 1, -1, 0), "2026-11-29 00:00", True),  # either
        ((-1, -1, 1, -1, 3), "2026-11-29 00:00", False),
        ((-1, -1, -7, -1, 3), "2026-11-28 00:00", False),  # both: -7 is no day
    ],
)
def test_five_numbers_mean_minutes(
    times: tuple[int, int, int, int, int], moment: str, meant: bool
) -> None:
    parsed = time.strptime(moment, "%Y-%m-%d %H:%M")
    assert CronTimes(*times).matches(parsed) is meant
