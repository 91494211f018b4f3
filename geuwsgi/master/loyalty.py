"""The vassal's side of the socket between an emperor and an instance of his.

The emperor sends commands; the vassal says when it serves, and that it is well. A
vassal without its emperor ends.
"""

from __future__ import annotations

import math
import os
import socket
import stat
from collections.abc import Callable, Mapping
from typing import Final

from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.emperor import EMPEROR_FD
from geuwsgi.master.events import Request
from geuwsgi.master.realm import Command, Sign
from geuwsgi.options import Settings
from geuwsgi.worker.hooks import HookRunner, actions_of

_LOOK_S: Final = 0.05  # while the first worker is awaited

_REQUESTS: Final = {
    Command.STOP: Request.BRUTAL_STOP,
    Command.RELOAD: Request.RELOAD,
    Command.DRAIN: Request.STOP,
}


class LoyaltyDuty(Duty):
    """Obeys, and reports. Goes on through reloads."""

    def __init__(
        self, fileno: int, settings: Settings, log: Callable[[str], None]
    ) -> None:
        self.key = ("loyalty", fileno)
        self._fileno = fileno
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


def is_vassal(environ: Mapping[str, str]) -> bool:
    """Whether an emperor started this process."""
    return _emperor_fd(environ) is not None


def loyalty_duty(
    settings: Settings, environ: Mapping[str, str], log: Callable[[str], None]
) -> LoyaltyDuty | None:
    fileno = _emperor_fd(environ)
    if fileno is None:
        return None
    return LoyaltyDuty(fileno, settings, log)


def _emperor_fd(environ: Mapping[str, str]) -> int | None:
    text = environ.get(EMPEROR_FD, "")
    if not (text.isascii() and text.isdigit()):
        return None
    try:
        return int(text) if stat.S_ISSOCK(os.fstat(int(text)).st_mode) else None
    except OSError:
        return None
