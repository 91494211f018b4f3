"""The options cron, unique-cron and cron2: commands at times of the clock."""

from __future__ import annotations

import math
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

from geuwsgi.background.cron import CronTimes, is_new_minute
from geuwsgi.errors import ConfigError
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.spawn import ShellCommand, signal_group
from geuwsgi.options import Settings
from geuwsgi.shared.keyval import parse_keyval

_FIELDS = ("minute", "hour", "day", "month", "week")
_SHORT = {"min": "minute", "mon": "month", "weekday": "week", "wday": "week"}
_LIMITS = {"minute": 59, "hour": 23, "day": 31, "month": 12, "week": 7}
_KEYS = {*_FIELDS, *_SHORT, "unique", "harakiri", "legion"}
_NUMBER = re.compile(r"-?\d{1,4}")


@dataclass(frozen=True)
class CronEntry:
    """One command, or the URL that is asked for. ``harakiri_s`` 0 is no limit."""

    times: CronTimes
    command: str
    is_url: bool = False
    is_unique: bool = False
    harakiri_s: float = 0.0


@dataclass(slots=True)
class _Run:
    entry: int
    pid: int
    started_on: int
    kill_at: float


class CronDuty(Duty):
    """Runs the entries. A run outlives a reload, and the instance's end not."""

    def __init__(
        self,
        entries: list[CronEntry],
        environ: Mapping[str, str],
        log: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.key = ("cron", tuple(entries))
        self.entries = entries
        self._environ = environ
        self._log = log
        self._clock = clock
        self._minute = -1
        self.runs: list[_Run] = []
        self._desk: Desk | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        # A server that starts within a minute has missed it.
        self._minute = int(self._clock() // 60)

    def tick(self, now: float) -> None:
        for run in self.runs:
            if now >= run.kill_at:
                run.kill_at = math.inf
                command = self.entries[run.entry].command
                self._log(f"*** CRON HARAKIRI ON {command!r} (pid: {run.pid}) ***")
                signal_group(run.pid, signal.SIGKILL)
        minute = int(self._clock() // 60)
        if not is_new_minute(minute, self._minute):
            return
        # Minutes that were slept through are not made up for.
        self._minute = minute
        moment = time.localtime(minute * 60)
        for number, entry in enumerate(self.entries):
            if entry.times.matches(moment):
                self._run(number, entry, now)

    def sections(self) -> Mapping[str, Any]:
        running = {run.entry: run for run in self.runs}  # the latest of each
        crons = []
        for number, entry in enumerate(self.entries):
            run = running.get(number)
            crons.append(
                {
                    **dict(zip(_FIELDS, astuple(entry.times), strict=True)),
                    "command": entry.command,
                    "unique": int(entry.is_unique),
                    "legion": "",
                    "pid": -1 if run is None else run.pid,
                    "started_at": 0 if run is None else run.started_on,
                }
            )
        return {"crons": crons}

    def end(self) -> None:
        assert self._desk is not None
        for run in self.runs:
            signal_group(run.pid, signal.SIGTERM)
            self._desk.dismiss(run.pid, 5.0)

    def _run(self, number: int, entry: CronEntry, now: float) -> None:
        assert self._desk is not None
        if entry.is_unique and any(run.entry == number for run in self.runs):
            return
        try:
            pid = ShellCommand(_line_of(entry), environ=self._environ).start()
        except OSError as exc:
            self._log(f"[cron] cannot run {entry.command!r}: {exc.strerror}")
            return
        self._log(f"[cron] running {entry.command!r} (pid: {pid})")
        kill_at = now + entry.harakiri_s if entry.harakiri_s else math.inf
        run = _Run(number, pid, int(self._clock()), kill_at)
        self.runs.append(run)

        def ended(status: int) -> None:
            self.runs.remove(run)
            seconds = int(self._clock()) - run.started_on
            self._log(
                f"[cron] {entry.command!r} (pid: {pid}) ended with status {status} "
                f"after {seconds} second(s)"
            )

        self._desk.expect(pid, ended)


def _line_of(entry: CronEntry) -> str:
    if not entry.is_url:
        return entry.command
    # In a process of its own, as every cron: the master waits for no server.
    code = "import sys, urllib.request as r; r.urlopen(sys.argv[1]).read()"
    return f"exec {shlex.join([sys.executable, '-I', '-c', code, entry.command])}"


def cron_entries(settings: Settings) -> list[CronEntry]:
    """What the options say. Raises ConfigError for what cannot be meant."""
    options = settings.signals
    harakiri_s = options.cron_harakiri
    entries = [_parse(text, False, harakiri_s) for text in options.cron]
    entries += [_parse(text, True, harakiri_s) for text in options.unique_cron]
    entries += [_parse_url(text, harakiri_s) for text in options.cron_curl]
    entries += [parse_cron2(text, harakiri_s) for text in options.cron2]
    return entries


def _parse(text: str, is_unique: bool, harakiri_s: float) -> CronEntry:
    *fields, command = text.split(None, 5) if len(text.split(None, 5)) == 6 else [""]
    if len(fields) != 5 or not all(_NUMBER.fullmatch(field) for field in fields):
        raise ConfigError(
            f"cron: {text!r} is not minute hour day month weekday command"
        )
    values = dict(zip(_FIELDS, map(int, fields), strict=True))
    times = _times(values, text)
    return CronEntry(times, command, is_unique=is_unique, harakiri_s=harakiri_s)


def _parse_url(text: str, harakiri_s: float) -> CronEntry:
    entry = _parse(text, False, harakiri_s)
    if not entry.command.startswith(("http://", "https://")):
        raise ConfigError(f"cron-curl: {entry.command!r} is no http or https URL")
    return replace(entry, is_url=True)


def parse_cron2(text: str, harakiri_s: float = 0.0) -> CronEntry:
    """Read a value of cron2: ``[key=value,…] command``."""
    head, _, command = text.strip().partition(" ")
    pairs = {key: "1" if value is None else value for key, value in parse_keyval(head)}
    if not pairs.keys() <= _KEYS:
        pairs, command = {}, text.strip()  # it has no options, only a command
    if "legion" in pairs:
        raise ConfigError(f"cron2: {text!r}: there are no legions")
    values = dict.fromkeys(_FIELDS, -1)
    for name, value in pairs.items():
        field = _SHORT.get(name, name)
        if field in values:
            if not _NUMBER.fullmatch(value):
                raise ConfigError(f"cron2: {name}={value} is no number")
            values[field] = int(value)
    if not command.strip():
        raise ConfigError(f"cron2: {text!r} names no command")
    limit = pairs.get("harakiri", "")
    return CronEntry(
        _times(values, text),
        command.strip(),
        is_unique=pairs.get("unique", "0") not in ("0", "false"),
        harakiri_s=float(limit) if limit.isdigit() else harakiri_s,
    )


def _times(values: Mapping[str, int], text: str) -> CronTimes:
    for name, value in values.items():
        if value > _LIMITS[name]:
            raise ConfigError(f"cron: {text!r}: {name} {value} is over {_LIMITS[name]}")
    return CronTimes(*(values[name] for name in _FIELDS))


def cron_duty(
    settings: Settings, environ: Mapping[str, str], log: Callable[[str], None]
) -> CronDuty | None:
    entries = cron_entries(settings)
    return CronDuty(entries, environ, log) if entries else None
