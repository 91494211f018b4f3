"""The duty that runs alarms: of processes, of sockets, of lines of the log."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable

from geuwsgi.background.alarms import Alarm, Alarms, LogAlarms, decode_raise
from geuwsgi.errors import ConfigError
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.prepared import Prepared
from geuwsgi.stats.snapshot import socket_stats

_AT_ONCE = 64
_EVERY_S = 1.0


class AlarmDuty(Duty):
    """Raises ConfigError for lines that say nothing sensible."""

    def __init__(self, prepared: Prepared, log: Callable[[str], None]) -> None:
        options = prepared.settings.alarms
        assert prepared.commons.mailboxes is not None
        self._boxes = prepared.commons.mailboxes
        self._router = prepared.commons.router
        self._listeners = prepared.listeners
        self._log = log
        self._alarms = Alarms.parse(
            options.alarm,
            {
                "cmd": self._run_command,
                "log": self._write_log,
                "mule": self._tell_mule,
                "signal": self._raise_signal,
            },
            options.alarm_freq,
        )
        self._for_log = LogAlarms(options.alarm_log, options.not_alarm_log)
        for name in self._for_log.names():
            if name not in self._alarms.alarms:
                raise ConfigError(f"alarm-log: there is no alarm {name!r}")
        self._for_backlog = options.alarm_backlog
        self._for_fds = [_parse_fd(line) for line in options.alarm_fd]
        self._desk: Desk | None = None
        self._next = 0.0

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        desk.watch(self._boxes.alarm_messages.fileno(), self._read)
        for name, fileno, size, message in self._for_fds:
            desk.watch(fileno, lambda a=(name, fileno, size, message): self._fd(*a))  # type: ignore[misc]

        if self._for_log:
            desk.hear_log(self._hear)

    def tick(self, now: float) -> None:
        if not self._for_backlog or now < self._next:
            return
        self._next = now + _EVERY_S
        for listener in self._listeners:
            stats = socket_stats(listener)
            if stats.max_queue and stats.queue >= stats.max_queue:
                text = (
                    f'listen queue of socket "{listener.name}" full'
                    f" ({stats.queue}/{stats.max_queue})"
                )
                for name in self._for_backlog:
                    self._alarms.run(name, text.encode(), now)

    def end(self) -> None:
        if self._desk is not None:
            if self._for_log:
                self._desk.hear_log(None)
            self._desk.unwatch(self._boxes.alarm_messages.fileno())
            for _, fileno, _, _ in self._for_fds:
                self._desk.unwatch(fileno)

    def _read(self) -> None:
        for _ in range(_AT_ONCE):
            octets = self._boxes.alarm_messages.receive()
            if octets is None:
                return
            name, message = decode_raise(octets)
            self._alarms.run(name, message, time.monotonic())

    def _hear(self, line: bytes) -> None:
        for name in self._for_log.raised_by(line):
            self._alarms.run(name, line.rstrip(b"\r\n"), time.monotonic())

    def _fd(self, name: str, fileno: int, size: int, message: str) -> None:
        received = os.read(fileno, size)
        self._alarms.run(name, message.encode() or received, time.monotonic())

    # What alarms do

    def _run_command(self, alarm: Alarm, message: bytes) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(message)
            file.seek(0)
            pid = os.posix_spawn(
                "/bin/sh",
                ["/bin/sh", "-c", alarm.argument],
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 0)],
            )
        if self._desk is not None:
            self._desk.expect(pid, lambda status: self._command_ended(alarm, status))

    def _command_ended(self, alarm: Alarm, status: int) -> None:
        if status:
            self._log(f"the command of alarm {alarm.name} ended with status {status}")

    def _write_log(self, alarm: Alarm, message: bytes) -> None:
        text = message.decode("utf-8", "backslashreplace")
        print(f"ALARM: {text}", file=sys.stderr, flush=True)

    def _tell_mule(self, alarm: Alarm, message: bytes) -> None:
        number = int(alarm.argument or 0)
        if number < len(self._boxes.mule_messages):
            self._boxes.mule_messages[number].send(message)

    def _raise_signal(self, alarm: Alarm, message: bytes) -> None:
        if self._router is not None:
            self._router.send(int(alarm.argument) & 0xFF)


def _parse_fd(text: str) -> tuple[str, int, int, str]:
    """Return alarm, descriptor, bytes to read and message of an ``alarm-fd`` line."""
    name, _, rest = text.strip().partition(" ")
    fd, _, rest = rest.strip().partition(":")
    size, _, message = rest.partition(":")
    if not name or not fd.isdecimal() or not (size or "1").isdecimal():
        raise ConfigError(f"alarm-fd is: alarm fd[:bytes[:message]], not {text!r}")
    return name, int(fd), max(1, int(size or 1)), message
