"""The vassal's side of the socket between an emperor and an instance of his.

The emperor sends commands; the vassal says when it serves, and that it is well. A
vassal without its emperor ends.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from geuwsgi.master.allegiance import emperor_fd
from geuwsgi.master.duty import Desk, Duty, Word
from geuwsgi.master.events import Request
from geuwsgi.master.prepared import Prepared
from geuwsgi.master.processes import MemberProcess
from geuwsgi.master.realm import Command, Sign
from geuwsgi.net.backlog import waiting_connections
from geuwsgi.net.listeners import Listener
from geuwsgi.shared import scoreboard as sb
from geuwsgi.worker.hooks import HookRunner, actions_of

_LOOK_S: Final = 0.05  # while the first worker is awaited
_PATIENCE_S: Final = 5.0  # for help that is on its way

_REQUESTS: Final = {
    Command.STOP: Request.BRUTAL_STOP,
    Command.RELOAD: Request.RELOAD,
    Command.DRAIN: Request.STOP,
}


@dataclass(slots=True)
class Distress:
    """When a vassal needs help: all its cores are busy, or too many visitors wait.

    ``busy_limit_s`` and ``backlog`` 0 are no reasons. Help is asked for at most every
    ``busy_limit_s``, and never twice within a moment.
    """

    busy_limit_s: float
    backlog: int
    cores: int
    listeners: Sequence[Listener]
    busy_since: float = math.inf
    silent_until: float = 0.0

    @classmethod
    def of(cls, prepared: Prepared) -> Distress:
        options = prepared.settings.emperor
        return cls(
            busy_limit_s=options.vassal_sos,
            backlog=options.vassal_sos_backlog,
            cores=prepared.plan.cores,
            listeners=prepared.listeners,
        )

    def is_there(self, workers: Sequence[MemberProcess], now: float) -> bool:
        """Whether to ask for help at ``now``."""
        if not workers or not (self.busy_limit_s or self.backlog):
            return False
        if any(worker.row[sb.CORES_BUSY] < self.cores for worker in workers):
            self.busy_since = math.inf
        else:
            self.busy_since = min(self.busy_since, now)
        if now < self.silent_until:
            return False
        is_long = 0 < self.busy_limit_s <= now - self.busy_since
        if not (is_long or self._is_crowded()):
            return False
        self.silent_until = now + max(self.busy_limit_s, _PATIENCE_S)
        return True

    def _is_crowded(self) -> bool:
        return self.backlog > 0 and any(
            waiting_connections(listener.socket)[0] >= self.backlog
            for listener in self.listeners
        )


class LoyaltyDuty(Duty):
    """Obeys, and reports. Goes on through reloads."""

    def __init__(
        self, fileno: int, prepared: Prepared, log: Callable[[str], None]
    ) -> None:
        settings = prepared.settings
        self.key = ("loyalty", fileno)
        self._fileno = fileno
        self._distress = Distress.of(prepared)
        self._hooks = settings.hooks
        self._heartbeat_s = settings.emperor.heartbeat
        self._log = log
        self._desk: Desk | None = None
        self._socket: socket.socket | None = None
        self._is_ready = False
        self._next_heartbeat = 0.0
        self._next_look = 0.0

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        self._socket = socket.socket(fileno=self._fileno)
        self._socket.setblocking(False)
        self._socket.set_inheritable(False)
        desk.watch(self._fileno, self._read)
        self._say(Sign.SPAWNED)

    def follow(self, successor: Duty) -> None:
        assert isinstance(successor, LoyaltyDuty)
        self._distress = successor._distress
        self._hooks = successor._hooks
        self._heartbeat_s = successor._heartbeat_s
        self._next_heartbeat = 0.0

    def next_deadline(self) -> float:
        if self._socket is None:
            return math.inf
        if not self._is_ready:
            return self._next_look
        return self._next_heartbeat if self._heartbeat_s else math.inf

    def tick(self, now: float) -> None:
        assert self._desk is not None
        self._next_look = now + _LOOK_S
        if not self._is_ready and (
            self._desk.serving_workers() or not self._desk.wanted_workers()
        ):
            self._is_ready = True
            self._say(Sign.READY)
            self._say(Sign.LOYAL)
        if self._is_ready and self._heartbeat_s and now >= self._next_heartbeat:
            self._next_heartbeat = now + self._heartbeat_s
            self._say(Sign.HEARTBEAT)
        if self._is_ready and self._distress.is_there(
            self._desk.serving_workers(), now
        ):
            self._ask_for_help()

    def hear(self, word: Word) -> None:
        if word is Word.HELP:
            self._ask_for_help()

    def _ask_for_help(self) -> None:
        self._log("asking the emperor for reinforcements...")
        self._say(Sign.NEEDS_HELP)

    def end(self) -> None:
        """The emperor sees the end of the socket when the process ends."""
        if self._socket is not None:
            assert self._desk is not None
            self._desk.unwatch(self._fileno)
            self._socket.close()
            self._socket = None

    def _say(self, sign: Sign) -> None:
        if self._socket is not None:
            try:
                self._socket.send(bytes([sign]))
            except BlockingIOError:
                pass  # an emperor that does not listen
            except OSError:
                self._lose()

    def _read(self) -> None:
        assert self._desk is not None and self._socket is not None
        try:
            commands = self._socket.recv(256)
        except BlockingIOError:
            return
        except OSError:
            commands = b""
        if not commands:
            self._lose()
        for command in commands:
            if command in _REQUESTS:
                self._obey(Command(command))

    def _obey(self, command: Command) -> None:
        assert self._desk is not None
        self._desk.ask(_REQUESTS[command], "the emperor")
        is_reload = command is Command.RELOAD
        self._run_hooks("emperor_reload" if is_reload else "emperor_stop")

    def _run_hooks(self, phase: str) -> None:
        HookRunner(self._log).run(phase, actions_of(self._hooks, phase))

    def _lose(self) -> None:
        assert self._desk is not None
        self.end()
        self._log("lost connection with my emperor !!!")
        self._desk.ask(Request.STOP, "the emperor is gone")
        self._run_hooks("emperor_lost")


def loyalty_duty(prepared: Prepared, log: Callable[[str], None]) -> LoyaltyDuty | None:
    fileno = emperor_fd(prepared.environ)
    if fileno is None:
        return None
    return LoyaltyDuty(fileno, prepared, log)
