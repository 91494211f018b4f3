from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from geuwsgi.background.cron import CronTimes
from geuwsgi.errors import ConfigError
from geuwsgi.master.crontab import CronDuty, CronEntry, cron_entries, parse_cron2
from geuwsgi.options import Settings, Signals
from tests.master.desk import PaperDesk


def entries(**options: tuple[str, ...]) -> list[CronEntry]:
    return cron_entries(Settings(signals=Signals(**options)))  # type: ignore[arg-type]


def test_a_cron_is_five_numbers_and_a_command() -> None:
    assert entries(cron=("59 2 -1 -1 -1 /usr/bin/backup --all now",)) == [
        CronEntry(CronTimes(59, 2, -1, -1, -1), "/usr/bin/backup --all now")
    ]
    assert entries(unique_cron=("-2 -1 -1 -1 -1 true",)) == [
        CronEntry(CronTimes(-2, -1, -1, -1, -1), "true", is_unique=True)
    ]


def test_cron2_has_names_and_a_command() -> None:
    assert parse_cron2("minute=30,hour=4,unique=1,harakiri=9 curl a=b") == CronEntry(
        CronTimes(30, 4, -1, -1, -1), "curl a=b", is_unique=True, harakiri_s=9
    )
    assert parse_cron2("true && false") == CronEntry(
        CronTimes(-1, -1, -1, -1, -1), "true && false"
    )
    assert parse_cron2("FOO=1 command").command == "FOO=1 command"


@pytest.mark.parametrize(
    "text", ["", "1 2 3", "x 2 3 4 5 cmd", "1 2 3 4 5", "60 1 1 1 1 c", "1 1 1 1 8 c"]
)
def test_a_wrong_cron_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="cron: "):
        entries(cron=(text,))


@pytest.mark.parametrize("text", ["minute=x cmd", "minute=1", "hour=25 cmd"])
def test_a_wrong_cron2_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="cron"):
        parse_cron2(text)


class Clock:
    def __init__(self) -> None:
        self.time = time.mktime((2026, 11, 25, 20, 0, 30, 0, 0, -1))

    def __call__(self) -> float:
        return self.time


def duty(
    log: Callable[[str], None], clock: Clock, *crons: CronEntry
) -> tuple[CronDuty, PaperDesk]:
    made = CronDuty(list(crons), {"PATH": "/bin:/usr/bin"}, log, clock)
    desk = PaperDesk()
    made.begin(desk)
    return made, desk


EVERY_MINUTE = CronTimes(-1, -1, -1, -1, -1)


def test_a_command_runs_once_in_each_minute_that_is_meant(tmp_path: Path) -> None:
    clock, log = Clock(), list[str]()
    entry = CronEntry(EVERY_MINUTE, f"echo x >> {tmp_path}/runs")
    made, desk = duty(log.append, clock, entry)
    for second in range(0, 125, 5):
        clock.time += 5
        made.tick(float(second))
    desk.wait_for_children()
    assert (tmp_path / "runs").read_text() == "x\nx\n"
    assert "ended with status 0" in log[-1]
    assert made.runs == []


def test_minutes_that_a_clock_repeats_are_not_done_again(tmp_path: Path) -> None:
    clock, log = Clock(), list[str]()
    made, desk = duty(log.append, clock, CronEntry(EVERY_MINUTE, "true"))
    began = clock.time
    runs = []
    # Put right by two minutes, once, and by a day.
    for now in (60, 120, 0, 60, 120, 180, -86_400, -86_340):
        clock.time = began + now
        made.tick(float(now))
        runs.append(sum("running" in line for line in log))
    desk.wait_for_children()
    assert runs == [1, 2, 2, 2, 2, 3, 4, 5]


def test_a_unique_command_does_not_overlap_itself() -> None:
    clock, log = Clock(), list[str]()
    made, desk = duty(
        log.append, clock, CronEntry(EVERY_MINUTE, "sleep 60", is_unique=True)
    )
    for second in range(3):
        clock.time += 60
        made.tick(float(second))
    assert len(made.runs) == 1
    made.end()
    desk.wait_for_children()


def test_harakiri_ends_a_command_with_all_it_started() -> None:
    clock, log = Clock(), list[str]()
    entry = CronEntry(EVERY_MINUTE, "sleep 60 & sleep 60", harakiri_s=5)
    made, desk = duty(log.append, clock, entry)
    clock.time += 60
    made.tick(100.0)
    made.tick(104.0)
    assert "HARAKIRI" not in log[-1]
    made.tick(106.0)
    assert log[-1].startswith("*** CRON HARAKIRI ON 'sleep 60 & sleep 60'")
    desk.wait_for_children()
    assert "ended with status -9" in log[-1]


def test_a_url_is_asked_for_by_a_process_of_its_own() -> None:
    (entry,) = entries(cron_curl=("5 -1 -1 -1 -1 http://a.test/?x=1&y=2",))
    assert entry.is_url
    assert entry.command == "http://a.test/?x=1&y=2"
    with pytest.raises(ConfigError, match="no http or https URL"):
        entries(cron_curl=("5 -1 -1 -1 -1 file:///etc/passwd",))


def test_crons_are_told_as_uwsgi_tells_them() -> None:
    duty = CronDuty(entries(unique_cron=("-2 -1 -1 -1 5 true",)), {}, lambda line: None)
    assert duty.sections() == {
        "crons": [
            {
                **{"minute": -2, "hour": -1, "day": -1, "month": -1, "week": 5},
                **{"command": "true", "unique": 1, "legion": ""},
                **{"pid": -1, "started_at": 0},
            }
        ]
    }
