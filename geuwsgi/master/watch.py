"""Workers that hang, and workers that grow: what the master sees without their help.

A worker writes into the scoreboard once a second that its hub turns. If it does not,
one greenlet blocks all the others: the worker is made to tell its stacks, and where
``harakiri`` sets a limit to requests, it is killed when the limit is over.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from geuwsgi.master import events as ev
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.events import Request
from geuwsgi.options import Settings
from geuwsgi.shared import scoreboard as sb
from geuwsgi.worker.memory import read_memory

# After the stacks are asked for, before the kill: time to write them.
LAST_WORDS_S: Final = 1.0


@dataclass(frozen=True)
class Pulse:
    """How long a worker's hub has not turned."""

    serial: int
    silent_s: float


@dataclass(frozen=True)
class Report:
    """Have the worker tell what blocks it."""

    serial: int
    silent_s: float


@dataclass(frozen=True)
class Execute:
    """Kill the worker."""

    serial: int
    silent_s: float


@dataclass(frozen=True)
class Ask:
    """Send the worker the signal that asks it to end (harakiri-graceful-signal)."""

    serial: int
    silent_s: float


Verdict = Report | Ask | Execute


class HubWatch:
    """Decides about pulses. Pure.

    After ``report_s`` without a sign of life a worker is reported, once for each time
    it hangs; after ``kill_s`` (0: never) it is reported and, LAST_WORDS_S later,
    killed. With ``grace_s`` it is asked to end first, that long before.
    """

    def __init__(self, *, report_s: float, kill_s: float, grace_s: float = 0.0) -> None:
        limits = [limit for limit in (report_s, kill_s) if limit]
        self._report_s = min(limits, default=math.inf)
        self._kill_s = kill_s
        self._grace_s = grace_s
        self._reported: set[int] = set()
        self._asked: set[int] = set()

    def look(self, pulses: Iterable[Pulse]) -> list[Verdict]:
        verdicts: list[Verdict] = []
        hanging: set[int] = set()
        for pulse in pulses:
            if pulse.silent_s < self._report_s:
                continue
            hanging.add(pulse.serial)
            if pulse.serial not in self._reported:
                verdicts.append(Report(pulse.serial, pulse.silent_s))
            elif not self._kill_s:
                continue
            elif pulse.silent_s >= self._kill_s + max(LAST_WORDS_S, self._grace_s):
                verdicts.append(Execute(pulse.serial, pulse.silent_s))
            elif (
                self._grace_s
                and pulse.silent_s >= self._kill_s
                and pulse.serial not in self._asked
            ):
                self._asked.add(pulse.serial)
                verdicts.append(Ask(pulse.serial, pulse.silent_s))
        self._reported = hanging
        self._asked &= hanging
        return verdicts


class HubWatchDuty(Duty):
    """Looks at the heartbeats of the workers that serve."""

    def __init__(self, settings: Settings, log: Callable[[str], None]) -> None:
        workers = settings.workers
        self._watch = HubWatch(
            report_s=workers.hub_watch,
            kill_s=workers.harakiri,
            grace_s=workers.harakiri_graceful_timeout,
        )
        self._signal = signal.Signals(workers.harakiri_graceful_signal)
        self._log = log
        self._desk: Desk | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk

    def tick(self, now: float) -> None:
        assert self._desk is not None
        workers = {member.serial: member for member in self._desk.serving_workers()}
        pulses = [
            Pulse(serial, now - member.row[sb.HEARTBEAT_MS] / 1000.0)
            for serial, member in workers.items()
            if member.row[sb.HEARTBEAT_MS]
        ]
        for verdict in self._watch.look(pulses):
            member = workers[verdict.serial]
            if isinstance(verdict, Report):
                self._log(
                    f"{member} (pid: {member.pid}) is blocked: its hub has not turned "
                    f"for {verdict.silent_s:.0f} seconds"
                )
                self._desk.send_signal(member, signal.SIGUSR2)
            elif isinstance(verdict, Ask):
                self._log(
                    f"*** HARAKIRI ON {str(member).upper()} (pid: {member.pid}, "
                    f"try: 1, graceful: yes) ***"
                )
                self._desk.send_signal(member, self._signal)
            else:
                self._log(
                    f"*** HARAKIRI ON {str(member).upper()} (pid: {member.pid}, "
                    f"try: 1, graceful: no) ***"
                )
                self._desk.put(ev.MemberHangs(verdict.serial))


class MountDuty(Duty):
    """check-mount: ends the instance when a file system does not answer any more."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths
        self._desk: Desk | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk

    def tick(self, now: float) -> None:
        assert self._desk is not None
        for path in self._paths:
            try:
                os.statvfs(path)
            except OSError as exc:
                why = f"check-mount: {path}: {exc.strerror}"
                self._desk.ask(Request.BRUTAL_STOP, why)


class MemoryDuty(Duty):
    """evil-reload-on-rss and evil-reload-on-as: looks at processes from outside."""

    def __init__(self, *, rss_limit: int, as_limit: int, interval_s: float) -> None:
        self._rss_limit = rss_limit
        self._as_limit = as_limit
        self._interval_s = interval_s
        self._next_look = 0.0
        self._desk: Desk | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk

    def tick(self, now: float) -> None:
        if now < self._next_look:
            return
        self._next_look = now + self._interval_s
        assert self._desk is not None
        for member in self._desk.serving_workers():
            try:
                resident, virtual = read_memory(member.pid)
            except OSError:
                continue  # it has just ended
            reason = ""
            if self._rss_limit and resident > self._rss_limit:
                reason = f"evil-reload-on-rss: {resident} bytes"
            elif self._as_limit and virtual > self._as_limit:
                reason = f"evil-reload-on-as: {virtual} bytes"
            if reason:
                self._desk.put(ev.MemberRetires(member.serial, reason, brutal=True))


def watch_duties(settings: Settings, log: Callable[[str], None]) -> list[Duty]:
    """The watching that ``settings`` ask for."""
    duties: list[Duty] = []
    if settings.workers.hub_watch or settings.workers.harakiri:
        duties.append(HubWatchDuty(settings, log))
    if settings.reload.check_mount:
        duties.append(MountDuty(settings.reload.check_mount))
    limits = settings.limits
    if limits.evil_reload_on_rss or limits.evil_reload_on_as:
        duties.append(
            MemoryDuty(
                rss_limit=limits.evil_reload_on_rss,
                as_limit=limits.evil_reload_on_as,
                interval_s=limits.mem_collector_freq,
            )
        )
    return duties
