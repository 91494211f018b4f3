"""Files whose change is a command: touch-reload and its kin.

A file is touched when its time of modification changes in either direction, when it
appears or when it vanishes. Times are compared to the nanosecond: two touches within
one second are two (uWSGI sees one).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from geuwsgi.errors import ConfigError
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.events import Request
from geuwsgi.master.spawn import ShellCommand
from geuwsgi.options import Settings
from geuwsgi.worker.hooks import HookRunner, RaiseAlarm, split_touch

ABSENT = -1


@dataclass(slots=True)
class Watched:
    """One file, what is done when it is touched, and when it last was."""

    path: str
    action: Callable[[Desk, str], None]
    modified_ns: int = ABSENT


class TouchDuty(Duty):
    """Looks at the files once in each turn."""

    def __init__(self, watched: Iterable[Watched], key: object = None) -> None:
        self.key = key
        self._watched = list(watched)
        self._desk: Desk | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        for file in self._watched:
            file.modified_ns = time_of(file.path)

    def tick(self, now: float) -> None:
        assert self._desk is not None
        for file in self._watched:
            modified_ns = time_of(file.path)
            if modified_ns != file.modified_ns:
                file.modified_ns = modified_ns
                file.action(self._desk, file.path)


def time_of(path: str) -> int:
    """When ``path`` was modified, in nanoseconds; ABSENT if it is not there."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return ABSENT


def asking(request: Request) -> Callable[[Desk, str], None]:
    """An action that asks for ``request``."""
    return lambda desk, path: desk.ask(request, f"{path} was touched")


def running(command: str) -> Callable[[Desk, str], None]:
    """An action that runs a shell command and does not wait for it."""

    def run(desk: Desk, path: str) -> None:
        desk.expect(ShellCommand(command).start(), lambda status: None)

    return run


def hooking(action: str, runner: HookRunner) -> Callable[[Desk, str], None]:
    """An action that runs a hook."""
    return lambda desk, path: runner.run("touch", [action])


def raising(number: int) -> Callable[[Desk, str], None]:
    """An action that raises a uwsgi signal."""
    return lambda desk, path: desk.raise_signal(number)


def parse_signal_number(text: str) -> int:
    """The number of a uwsgi signal. Raises ConfigError."""
    text = text.strip()
    if not (text.isdigit() and int(text) < 256):
        raise ConfigError(f"{text!r} is no signal number (0 to 255)")
    return int(text)


def touch_duty(
    settings: Settings,
    log: Callable[[str], None],
    raise_alarm: RaiseAlarm | None = None,
) -> TouchDuty | None:
    """The duty that ``settings`` ask for; None if they ask for none."""
    options = settings.reload
    watched = [
        Watched(path, asking(request))
        for paths, request in (
            (options.touch_reload, Request.RELOAD),
            (options.touch_workers_reload, Request.RELOAD_WORKERS),
            (options.touch_chain_reload, Request.CHAIN_RELOAD),
            (options.touch_mules_reload, Request.RELOAD_MULES),
            (options.touch_spoolers_reload, Request.RELOAD_SPOOLERS),
        )
        for path in paths
    ]
    for text in options.touch_exec:
        path, _, command = text.partition(" ")
        watched.append(Watched(path, running(command.strip())))
    for text in settings.hooks.hook_touch:
        path, action = split_touch(text)
        watched.append(
            Watched(path, hooking(action, HookRunner(log, raise_alarm=raise_alarm)))
        )
    for text in options.touch_signal:
        path, _, number = text.partition(" ")
        watched.append(Watched(path, raising(parse_signal_number(number))))
    key = (
        "touch",
        options.touch_reload,
        options.touch_workers_reload,
        options.touch_chain_reload,
        options.touch_mules_reload,
        options.touch_spoolers_reload,
        options.touch_exec,
        options.touch_signal,
        settings.hooks.hook_touch,
    )
    return TouchDuty(watched, key) if watched else None
