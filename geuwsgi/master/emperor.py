"""The emperor: one instance of the server for each configuration file it finds.

It looks at the files about every emperor-freq seconds, lets the realm decide, and does
what was decided. A vassal is a process of its own, in a session of its own, joined by a
socket: whatever becomes of the emperor or another vassal, it goes on or drains by
itself.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from geuwsgi.errors import GeuwsgiError, StartupError
from geuwsgi.master.allegiance import EMPEROR_FD
from geuwsgi.master.audience import Bell, StatsDoor
from geuwsgi.master.census import (
    COMPATIBLE_VERSION,
    blacklist_of,
    throttle_level_of,
    vassals_of,
)
from geuwsgi.master.daemon import PidFile
from geuwsgi.master.duty import Desk, Duty, Word
from geuwsgi.master.ondemand import Demand, Doors
from geuwsgi.master.prepared import socket_options_of
from geuwsgi.master.realm import (
    Candidate,
    Deed,
    Kill,
    Laws,
    Log,
    Realm,
    Start,
    Tell,
)
from geuwsgi.master.spawn import ShellCommand, signal_group
from geuwsgi.master.vassals import (
    VASSAL_VARIABLES,
    Recruiting,
    Search,
    stop_command,
)
from geuwsgi.net.listeners import SocketOptions
from geuwsgi.options import Hooks, Settings
from geuwsgi.worker.hooks import HookRunner, actions_of


class Court(Protocol):
    """What whoever runs the loop does for the emperor (part of ``duty.Desk``)."""

    def watch(self, fileno: int, callback: Callable[[], None]) -> None: ...

    def unwatch(self, fileno: int) -> None: ...

    def expect(self, pid: int, callback: Callable[[int], None]) -> None: ...

    def dismiss(self, pid: int, limit_s: float) -> None: ...

    def now(self) -> float: ...


@dataclass(frozen=True)
class Rule:
    """Everything the options say about an emperor."""

    search: Search
    recruiting: Recruiting
    laws: Laws
    frequency_s: float
    pidfile: str
    hooks: Hooks
    always_drains: bool
    stop_hook: str
    stats: str
    bell: str
    demand: Demand
    sockets: SocketOptions
    environ: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str], directory: str) -> Rule:
        """Raises ConfigError for what cannot be meant."""
        options = settings.emperor
        throttle_s = options.emperor_throttle / 1000
        return cls(
            search=Search.of(options, directory),
            recruiting=Recruiting.of(options, settings.hooks),
            laws=Laws(
                throttle_s=0.0 if options.emperor_no_blacklist else throttle_s,
                max_throttle_s=options.emperor_max_throttle / 1000,
                tolerance_s=options.emperor_curse_tolerance,
                required_heartbeat_s=options.emperor_required_heartbeat,
                reinforcements=options.emperor_broodlord,
                minds_owners=options.emperor_tyrant,
            ),
            frequency_s=options.emperor_freq or 1.0,
            pidfile=options.emperor_pidfile or "",
            hooks=settings.hooks,
            always_drains=options.emperor_graceful_shutdown,
            stop_hook=options.vassals_stop_hook or "",
            stats=options.emperor_stats or "",
            bell=options.emperor_trigger_socket or "",
            demand=Demand.of(options, directory),
            sockets=socket_options_of(settings),
            environ=environ,
        )


@dataclass(slots=True, eq=False)
class _Process:
    pid: int
    channel: socket.socket


class Emperor:
    """Carries out what the realm decides. ``begin`` first, ``end`` last."""

    def __init__(self, rule: Rule, court: Court, log: Callable[[str], None]) -> None:
        self.rule = rule
        self.realm = Realm(rule.laws)
        self._court = court
        self._log = log
        self._processes: dict[str, _Process] = {}
        self._next_search = 0.0
        self._pidfile: PidFile | None = None
        self._stats: StatsDoor | None = None
        self._bell: Bell | None = None
        self._doors = Doors(rule.sockets, court.watch, court.unwatch)
        self._called: set[str] = set()

    def begin(self) -> None:
        """Write the pidfile and start the first vassals. Raises StartupError."""
        self._log("*** starting the emperor ***")
        self._open_doors()
        if self.rule.pidfile:
            self._pidfile = PidFile(self.rule.pidfile)
            self._pidfile.write(os.getpid())
        self._run_hooks("emperor_start")
        self.tick(self._court.now())

    def _open_doors(self) -> None:
        watch, unwatch = self._court.watch, self._court.unwatch
        if self.rule.stats:
            self._stats = StatsDoor(self.rule.stats, self.statistics, watch, unwatch)
            name = self._stats.listener.name
            self._log(f"*** emperor stats server enabled on {name} ***")
        if self.rule.bell:
            self._bell = Bell(self.rule.bell, self.search_now, watch, unwatch)

    def adopt(self, rule: Rule) -> None:
        """Go on by other rules; they hold for vassals that start from now on."""
        former, self.rule = self.rule, rule
        self.realm.laws = rule.laws
        if (former.stats, former.bell) != (rule.stats, rule.bell):
            self._close_doors()
            self._open_doors()
        self.search_now()

    def search_now(self) -> None:
        """Look at the files at the next turn."""
        self._next_search = 0.0

    def next_deadline(self) -> float:
        return min(self._next_search, self.realm.next_deadline())

    def tick(self, now: float) -> None:
        if now >= self._next_search:
            self._next_search = now + self.rule.frequency_s
            self._do(self.realm.see(self.rule.search.run(), now))
            self._doors.keep_only(self.realm.vassals)
        self._do(self.realm.tick(now))

    def reload(self) -> None:
        """Have every vassal reload."""
        self._do(self.realm.reload(self._court.now()))

    def stop(self, *, gracefully: bool) -> None:
        """Tell all vassals to end; ``realm.is_over`` when they have."""
        if not self.realm.is_stopping:
            gracefully = gracefully or self.rule.always_drains
        self._do(self.realm.stop(self._court.now(), gracefully=gracefully))

    def end(self, *, gracefully: bool) -> None:
        """Tell all vassals to end, and leave their burial to the court."""
        self.stop(gracefully=gracefully)
        for process in self._processes.values():
            self._court.dismiss(process.pid, self.rule.laws.tolerance_s)
            # The socket stays open: its end would be taken for ours.
            self._court.unwatch(process.channel.fileno())
        self._bury()

    def close(self) -> None:
        """Forget the vassals; those that live see that their emperor is gone."""
        for path in list(self._processes):
            self._forget(path)
        self._bury()

    def _bury(self) -> None:
        self._doors.keep_only(())
        self._close_doors()
        if self._pidfile is not None:
            self._pidfile.remove(os.getpid())
            self._pidfile = None

    def _close_doors(self) -> None:
        for door in (self._stats, self._bell):
            if door is not None:
                door.close()
        self._stats = self._bell = None

    def statistics(self) -> dict[str, object]:
        """What emperor-stats tells, under uWSGI's names."""
        now = self._court.now()
        realm = self.realm
        return {
            "version": COMPATIBLE_VERSION,
            "pid": os.getpid(),
            "uid": os.getuid(),
            "gid": os.getgid(),
            "cwd": os.getcwd(),
            "emperor": list(self.rule.search.sources),
            "emperor_tyrant": int(self.rule.recruiting.is_tyrant),
            "throttle_level": throttle_level_of(realm),
            "vassals": vassals_of(
                realm,
                {path: process.pid for path, process in self._processes.items()},
                self._doors.addresses(),
                now=now,
                unix_offset=time.time() - now,
            ),
            "blacklist": blacklist_of(realm),
        }

    # -- what was decided --------------------------------------------------------------

    def _do(self, deeds: list[Deed]) -> None:
        for deed in deeds:
            if isinstance(deed, Log):
                self._log(deed.line)
            elif isinstance(deed, Start):
                self._start(deed.candidate)
            elif isinstance(deed, Kill):
                process = self._processes.get(deed.path)
                if process is not None:
                    signal_group(process.pid, 9)
            else:
                self._tell(deed)

    def _start(self, vassal: Candidate) -> None:
        try:
            if self._puts_to_sleep(vassal):
                return
            self._run_hooks("as_emperor_before_vassal", self._hook_environ(vassal))
            pid, channel = self._spawn(vassal)
        except (OSError, GeuwsgiError) as exc:
            reason = getattr(exc, "strerror", None) or str(exc)
            self._do(self.realm.failed(vassal.path, reason, self._court.now()))
            return
        path = vassal.path
        self._processes[path] = _Process(pid, channel)
        self._court.expect(pid, lambda status: self._has_ended(path, status))
        self._court.watch(channel.fileno(), lambda: self._read(path))
        self._log(f"[emperor] vassal {vassal.name} has been spawned (pid: {pid})")
        environ = {**self._hook_environ(vassal), "UWSGI_VASSAL_PID": str(pid)}
        for line in self.rule.hooks.exec_as_emperor:
            self._run(line, environ)
        self._run_hooks("as_emperor", environ)

    def _puts_to_sleep(self, vassal: Candidate) -> bool:
        """Listen in the place of a vassal on demand that nobody has called."""
        path = vassal.path
        if path in self._called or self.realm.vassals[path].helps:
            return False
        address = self.rule.demand.address_of(vassal)
        if not address:
            self._doors.close(path)
            return False
        self._doors.listen(path, address, lambda: self._is_called(path))
        self._do(self.realm.sleeps(path))
        self._run_hooks("as_on_demand_vassal", self._hook_environ(vassal))
        return True

    def _is_called(self, path: str) -> None:
        self._called.add(path)
        self._do(self.realm.is_called(path, self._court.now()))

    def _spawn(self, vassal: Candidate) -> tuple[int, socket.socket]:
        recruiting = self.rule.recruiting
        owner = recruiting.owner(vassal)
        if owner is not None and os.getuid():
            if owner[0] != os.getuid():
                raise StartupError(f"only root can run it as its owner, uid {owner[0]}")
            owner = None
        uid, gid = owner or (None, None)
        door = self._doors.pass_on(vassal.path)
        ours, theirs = socket.socketpair()
        try:
            environ = self._environ()
            if recruiting.commands:
                environ = self._hook_environ(vassal)
            environ[EMPEROR_FD] = str(theirs.fileno())
            process = subprocess.Popen(
                recruiting.arguments(vassal),
                stdin=subprocess.DEVNULL if door is None else door,
                cwd=vassal.directory or None,
                env=environ,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                user=uid,
                group=gid,
                extra_groups=recruiting.groups(*owner) if owner else None,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        process.returncode = 0  # the court buries it, not Popen
        ours.setblocking(False)
        return process.pid, ours

    def _environ(self) -> dict[str, str]:
        """What vassals get: all but the options, which are the emperor's."""
        return {
            name: value
            for name, value in self.rule.environ.items()
            if not name.startswith("UWSGI_")
        }

    def _hook_environ(self, vassal: Candidate) -> dict[str, str]:
        values = (vassal.name, str(vassal.uid), str(vassal.gid))
        return {**self._environ(), **dict(zip(VASSAL_VARIABLES, values, strict=True))}

    def _tell(self, deed: Tell) -> None:
        process = self._processes.get(deed.path)
        if process is not None:
            # One that does not listen is killed when its time is over.
            with contextlib.suppress(OSError):
                process.channel.send(bytes([deed.command]))

    def _run_hooks(self, phase: str, environ: Mapping[str, str] | None = None) -> None:
        runner = HookRunner(self._log, environ or self._environ())
        try:
            runner.run(phase, actions_of(self.rule.hooks, phase))
        except StartupError as exc:
            self._log(f"[emperor] {exc}")

    def _run(self, line: str, environ: Mapping[str, str]) -> None:
        try:
            pid = ShellCommand(line, environ=environ).start()
        except OSError as exc:
            self._log(f"[emperor] cannot run {line!r}: {exc.strerror}")
        else:
            self._court.expect(pid, lambda status: None)

    # -- what happens ------------------------------------------------------------------

    def _read(self, path: str) -> None:
        process = self._processes[path]
        try:
            signs = process.channel.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            signs = b""
        if not signs:
            self._court.unwatch(process.channel.fileno())
            process.channel.close()
            return
        for sign in signs:
            self._do(self.realm.hear(path, sign, self._court.now()))

    def _has_ended(self, path: str, status: int) -> None:
        process = self._processes[path]
        if process.channel.fileno() >= 0:
            self._read(path)  # its last words
        self._forget(path)
        self._called.discard(path)
        vassal = self.realm.vassals[path].candidate
        if self.rule.stop_hook:
            line = stop_command(self.rule.stop_hook, vassal.name)
            self._run(line, self._hook_environ(vassal))
        self._do(self.realm.exited(path, status, self._court.now()))
        self._doors.keep_only(self.realm.vassals)

    def _forget(self, path: str) -> None:
        channel = self._processes.pop(path).channel
        if channel.fileno() >= 0:
            self._court.unwatch(channel.fileno())
            channel.close()


class EmperorDuty(Duty):
    """An emperor beside the workers of an instance."""

    key = "emperor"

    def __init__(self, rule: Rule, log: Callable[[str], None]) -> None:
        self._rule = rule
        self._log = log
        self._desk: Desk | None = None
        self._emperor: Emperor | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        self._emperor = Emperor(self._rule, desk, self._log)
        self._emperor.begin()

    def follow(self, successor: Duty) -> None:
        assert isinstance(successor, EmperorDuty)
        if self._emperor is not None and successor._rule != self._rule:
            self._rule = successor._rule
            self._emperor.adopt(self._rule)

    def hear(self, word: Word) -> None:
        if word is Word.SEARCH and self._emperor is not None:
            self._emperor.search_now()

    def next_deadline(self) -> float:
        assert self._emperor is not None
        return self._emperor.next_deadline()

    def tick(self, now: float) -> None:
        assert self._emperor is not None
        self._emperor.tick(now)

    def end(self) -> None:
        if self._emperor is not None:
            self._emperor.end(gracefully=True)


def emperor_duty(
    settings: Settings,
    environ: Mapping[str, str],
    directory: str,
    log: Callable[[str], None],
) -> EmperorDuty | None:
    """Raises ConfigError for options that cannot be meant."""
    if not settings.emperor.emperor:
        return None
    return EmperorDuty(Rule.of(settings, environ, directory), log)
