"""Attached daemons: commands that live and die with the instance.

A plain daemon is a child: started with the generation, started again when it ends, and
again for the next generation, which may bring new code for it. A *smart* one has a
pidfile and outlives reloads: if the process named there lives, it is only watched.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.master.daemon import PidFile, lives
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.events import Request
from geuwsgi.master.spawn import ShellCommand, parse_signal, signal_group
from geuwsgi.master.touch import time_of
from geuwsgi.options import Settings
from geuwsgi.shared.keyval import parse_keyval
from geuwsgi.worker.privileges import find_gid, find_uid

MAX_THROTTLE_S: Final = 30
SHORT_LIFE_S: Final = 3.0
STOP_LIMIT_S: Final = 5.0
FREQUENCY_S: Final = 10.0

_KEYS: Final = frozenset(
    {
        *("cmd", "command", "exec", "pidfile", "freq", "control", "daemon"),
        *("daemonize", "touch", "stopsignal", "stop_signal", "reloadsignal"),
        *("reload_signal", "chdir", "uid", "gid", "max_throttle", "stdin"),
    }
)
_WITHOUT: Final = {
    "legion": "there are no legions",
    "notifypid": "daemons are not told pids",
    "ns_pid": "daemons have no namespace of their own",
}


@dataclass(frozen=True)
class DaemonSpec:
    """One daemon, as the options describe it."""

    command: str
    pidfile: str = ""
    frequency_s: float = FREQUENCY_S
    is_control: bool = False  # its end is the instance's end
    daemonizes: bool = False  # the master puts it into the background
    touch: tuple[str, ...] = ()
    stop_signal: int = signal.SIGTERM
    reload_signal: int = 0
    chdir: str = ""
    uid: int | None = None
    gid: int | None = None
    max_throttle_s: float = MAX_THROTTLE_S
    keeps_stdin: bool = False


class Daemon:
    """A daemon and its process. ``pid`` is 0 while none is known to live."""

    def __init__(
        self,
        spec: DaemonSpec,
        desk: Desk,
        environ: Mapping[str, str],
        log: Callable[[str], None],
    ) -> None:
        self.spec = spec
        self.pid = 0
        self.respawns = 0
        self._desk = desk
        self._environ = environ
        self._log = log
        self._is_child = False
        self._started_at = 0.0
        self._short_lives = 0
        self._next_look = 0.0
        self._ended = False
        self._touched = {path: time_of(path) for path in spec.touch}

    def tick(self, now: float) -> None:
        self._look_at_touched()
        if now < self._next_look:
            return
        if self.pid:
            if not self._is_child and not lives(self.pid):
                self._log(f"[daemons] {self.spec.command!r} (pid: {self.pid}) is gone")
                self.pid = 0
            else:
                return
        if self.spec.pidfile:
            self._next_look = now + self.spec.frequency_s
            known = PidFile(self.spec.pidfile).read()
            if known and lives(known):
                self._adopt(known)
                return
        self._start(now)

    def end(self, *, is_reload: bool) -> None:
        """Stop it, unless it is one that outlives a reload."""
        self._ended = True
        if not self.pid:
            return
        if is_reload and self.spec.reload_signal:
            self._signal(self.spec.reload_signal)
        if is_reload and self.spec.pidfile:
            return
        self._log(f"[daemons] stopping {self.spec.command!r} (pid: {self.pid})")
        self._signal(self.spec.stop_signal)
        if self._is_child:
            self._desk.dismiss(self.pid, STOP_LIMIT_S)

    def _adopt(self, pid: int) -> None:
        self._log(f"[daemons] found {self.spec.command!r} running (pid: {pid})")
        self.pid = pid
        self._is_child = False

    def _start(self, now: float) -> None:
        spec = self.spec
        line = spec.command
        if spec.daemonizes and spec.pidfile:
            run = line if line.startswith("exec ") else f"exec {line}"
            line = f"echo $$ > '{spec.pidfile}'; {run}"
        try:
            pid = ShellCommand(
                line,
                chdir=spec.chdir,
                uid=spec.uid,
                gid=spec.gid,
                environ=self._environ,
                keeps_stdin=spec.keeps_stdin,
                # One with a pidfile is found again by the next master.
                orphans_signal=0 if spec.pidfile else spec.stop_signal,
            ).start()
        except OSError as exc:
            self._log(f"[daemons] cannot start {spec.command!r}: {exc.strerror}")
            self._next_look = now + MAX_THROTTLE_S
            return
        self.pid = pid
        self._is_child = True
        self._started_at = now
        verb = "respawning" if self.respawns else "spawning"
        self._log(f"[daemons] {verb} {spec.command!r} (pid: {pid})")
        self._desk.expect(pid, self._has_ended)

    def _has_ended(self, status: int) -> None:
        self.pid = 0
        self._is_child = False
        if self._ended:
            return
        spec = self.spec
        if spec.is_control:
            self._desk.ask(Request.STOP, f"{spec.command!r} has ended")
            return
        now = self._desk.now()
        if spec.pidfile and not spec.daemonizes and status == 0:
            # It went into the background; its pidfile tells where it is.
            self._next_look = now + 1.0
            return
        self.respawns += 1
        is_short = now - self._started_at < SHORT_LIFE_S
        self._short_lives = self._short_lives + 1 if is_short else 0
        delay = min(self._short_lives, spec.max_throttle_s)
        self._next_look = now + delay
        throttled = f", started again in {delay:g} seconds" if delay else ""
        self._log(f"[daemons] {spec.command!r} ended with status {status}{throttled}")

    def _look_at_touched(self) -> None:
        for path, before in self._touched.items():
            modified_ns = time_of(path)
            if modified_ns != before:
                self._touched[path] = modified_ns
                self._log(f"[daemons] {path} was touched: {self.spec.command!r} goes")
                if self.pid:
                    self._signal(self.spec.reload_signal or self.spec.stop_signal)

    def _signal(self, number: int) -> None:
        if not (self._is_child and signal_group(self.pid, number)):
            try:
                os.kill(self.pid, number)
            except OSError:
                self.pid = 0


class DaemonsDuty(Duty):
    """All daemons of a generation."""

    def __init__(
        self,
        specs: list[DaemonSpec],
        environ: Mapping[str, str],
        log: Callable[[str], None],
    ) -> None:
        self._specs = specs
        self._environ = environ
        self._log = log
        self._desk: Desk | None = None
        self.daemons: list[Daemon] = []

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        self.daemons = [
            Daemon(spec, desk, self._environ, self._log) for spec in self._specs
        ]
        self.tick(desk.now())

    def tick(self, now: float) -> None:
        for daemon in self.daemons:
            daemon.tick(now)

    def sections(self) -> Mapping[str, Any]:
        return {
            "daemons": [
                {
                    "cmd": daemon.spec.command,
                    "pid": daemon.pid,
                    "respawns": daemon.respawns,
                }
                for daemon in self.daemons
            ]
        }

    def end(self) -> None:
        assert self._desk is not None
        for daemon in self.daemons:
            daemon.end(is_reload=not self._desk.is_ending())


def daemon_specs(settings: Settings) -> list[DaemonSpec]:
    """What the options say. Raises ConfigError for what cannot be meant."""
    options = settings.daemons
    specs = [DaemonSpec(command) for command in options.attach_daemon]
    specs += [
        DaemonSpec(command, is_control=True)
        for command in options.attach_control_daemon
    ]
    specs += [_smart(text, False) for text in options.smart_attach_daemon]
    specs += [_smart(text, True) for text in options.smart_attach_daemon2]
    specs += [parse_daemon(text) for text in options.attach_daemon2]
    if options.daemons_honour_stdin:
        specs = [replace(spec, keeps_stdin=True) for spec in specs]
    return specs


def _smart(text: str, daemonizes: bool) -> DaemonSpec:
    pidfile, _, command = text.partition(" ")
    if not command.strip():
        raise ConfigError(f"smart-attach-daemon: {text!r} is not pidfile command")
    return DaemonSpec(command.strip(), pidfile=pidfile, daemonizes=daemonizes)


def parse_daemon(text: str) -> DaemonSpec:
    """Read a value of attach-daemon2: ``cmd=…,pidfile=…,freq=…,…``."""
    values = {key: "1" if v is None else v for key, v in parse_keyval(text)}
    unknown = values.keys() - _KEYS
    if unknown:
        key = min(unknown)
        why = _WITHOUT.get(key, f"unknown key {key!r}")
        raise ConfigError(f"attach-daemon2: {text!r}: {why}")
    command = values.get("cmd") or values.get("command") or values.get("exec")
    if not command:
        raise ConfigError(f"attach-daemon2: {text!r} names no command (cmd=…)")
    try:
        return DaemonSpec(
            command,
            pidfile=values.get("pidfile", ""),
            frequency_s=float(values.get("freq", FREQUENCY_S)),
            is_control=_is_on(values, "control"),
            daemonizes=_is_on(values, "daemonize", "daemon"),
            touch=tuple(filter(None, values.get("touch", "").split(";"))),
            stop_signal=parse_signal(_first(values, "15", "stopsignal", "stop_signal")),
            reload_signal=_reload_signal(values),
            chdir=values.get("chdir", ""),
            uid=find_uid(values["uid"]) if "uid" in values else None,
            gid=find_gid(values["gid"]) if "gid" in values else None,
            max_throttle_s=float(values.get("max_throttle", MAX_THROTTLE_S)),
            keeps_stdin=_is_on(values, "stdin"),
        )
    except (ValueError, StartupError) as exc:
        raise ConfigError(f"attach-daemon2: {text!r}: {exc}") from exc


def _reload_signal(values: Mapping[str, str]) -> int:
    text = _first(values, "0", "reloadsignal", "reload_signal")
    return 0 if text == "0" else parse_signal(text)


def _first(values: Mapping[str, str], default: str, *names: str) -> str:
    return next((values[name] for name in names if name in values), default)


def _is_on(values: Mapping[str, str], *names: str) -> bool:
    return _first(values, "", *names) not in ("", "0", "false")


def daemons_duty(
    settings: Settings, environ: Mapping[str, str], log: Callable[[str], None]
) -> DaemonsDuty | None:
    specs = daemon_specs(settings)
    return DaemonsDuty(specs, environ, log) if specs else None
