"""Hooks: small actions that the options hook-* and exec-* run at points of life.

An action is ``name:argument``; a ``!`` in front keeps its line out of the log. An
action that fails ends the process that runs it: whoever asks for a mount before the
privileges are dropped does not want to go on without it.
"""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.worker.hookcalls import (
    LIMIT_S,
    call,
    parse_call,
    retry_call,
    write_fifo,
)
from geuwsgi.worker.privileges import find_gid, find_uid
from geuwsgi.worker.waiting import (
    wait_for_directory,
    wait_for_file,
    wait_for_path,
    wait_for_socket,
)

if TYPE_CHECKING:
    from geuwsgi.options import Hooks

Log = Callable[[str], None]
BindSignal = Callable[[int, str], None]
RaiseAlarm = Callable[[str, str], None]


@dataclass(frozen=True)
class HookAction:
    """One parsed action."""

    name: str
    argument: str
    is_quiet: bool = False

    def __str__(self) -> str:
        return f"{self.name}:{self.argument}"


def parse_action(text: str) -> HookAction:
    """Read ``[!]name:argument``. Raises ConfigError for an unknown name."""
    is_quiet = text.startswith("!")
    name, _, argument = text.removeprefix("!").partition(":")
    name = name.strip()
    if name in _FOREIGN:
        raise ConfigError(f"hook {text!r}: {_FOREIGN[name]}")
    if name not in _ACTIONS:
        known = ", ".join(sorted(_ACTIONS))
        raise ConfigError(f"hook {text!r}: unknown action {name!r} (known: {known})")
    if name in ("rpc", "retryrpc"):
        try:
            parse_call(argument)
        except ValueError as exc:
            raise ConfigError(f"hook {text!r}: {exc}") from exc
    return HookAction(name, argument.strip(), is_quiet)


def as_exec(commands: Iterable[str]) -> tuple[str, ...]:
    """The values of an exec-* option as actions."""
    return tuple(f"exec:{command}" for command in commands)


class HookRunner:
    """Runs actions in this process. ``environ`` is what commands get."""

    def __init__(
        self,
        log: Log,
        environ: Mapping[str, str] | None = None,
        bind_signal: BindSignal | None = None,
        raise_alarm: RaiseAlarm | None = None,
    ) -> None:
        self.log = log
        self.environ = environ
        self._bind_signal = bind_signal
        self._raise_alarm = raise_alarm

    def run(self, phase: str, actions: Iterable[str]) -> None:
        """Run the actions of one phase in order.

        Raises StartupError if one fails, ConfigError if one cannot be meant.
        """
        for text in actions:
            action = parse_action(text)
            if not action.is_quiet:
                self.log(f'running "{action}" ({phase})...')
            try:
                _ACTIONS[action.name](self, action.argument)
            except OSError as exc:
                reason = (exc.strerror or str(exc)).lower()
                raise StartupError(f"hook {str(action)!r} ({phase}): {reason}") from exc
            except ValueError as exc:
                raise StartupError(f"hook {str(action)!r} ({phase}): {exc}") from exc

    def bind_signal(self, number: int, function: str) -> None:
        if self._bind_signal is None:
            raise ValueError("signals can be bound in the master only")
        self._bind_signal(number, function)

    def raise_alarm(self, name: str, message: str) -> None:
        if self._raise_alarm is None:
            raise ValueError("alarms cannot be raised at this point")
        self._raise_alarm(name, message)


def _execute(runner: HookRunner, line: str) -> None:
    environ = None if runner.environ is None else dict(runner.environ)
    ended = subprocess.run(["/bin/sh", "-c", line], env=environ, check=False)
    if ended.returncode:
        raise ValueError(f"ended with status {ended.returncode}")


def _execute_safely(runner: HookRunner, line: str) -> None:
    try:
        _execute(runner, line)
    except ValueError as exc:
        runner.log(f"command {line!r} {exc}")


def _write(path_and_text: str, flags: int, end: str = "") -> None:
    path, _, text = path_and_text.partition(" ")
    fileno = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o666)
    try:
        os.write(fileno, (text + end).encode("utf-8", "surrogateescape"))
    finally:
        os.close(fileno)


def _create(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666))


def _chmod(argument: str) -> None:
    path, _, mode = argument.partition(" ")
    os.chmod(path, int(mode, 8))


def _chown(argument: str) -> None:
    path, user, group = [*argument.split(), "", ""][:3]
    if not user:
        raise ValueError("needs a path, a user and a group")
    os.chown(path, find_uid(user), find_gid(group) if group else -1)


def _rename(argument: str) -> None:
    old, _, new = argument.partition(" ")
    os.rename(old, new.strip())


def _exit(argument: str) -> None:
    raise SystemExit(int(argument or 0))


def _bind(runner: HookRunner, argument: str) -> None:
    number, _, function = argument.partition(" ")
    if not number.isdigit():
        raise ValueError(f"{number!r} is no signal number")
    runner.bind_signal(int(number), function.strip())


def _alarm(runner: HookRunner, argument: str) -> None:
    name, _, message = argument.partition(" ")
    runner.raise_alarm(name, message.strip())


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _put_variable(runner: HookRunner, assignment: str) -> None:
    name, equals, value = assignment.partition("=")
    if not equals:
        raise ValueError("needs NAME=value")
    os.environ[name] = value
    if runner.environ is not None:
        runner.environ = {**runner.environ, name: value}


def _mount(runner: HookRunner, argument: str) -> None:
    kind, what, where, *flags = argument.split()
    options = ["-o", ",".join(flags)] if flags else []
    command = ["mount", "-t", kind, *options, what, where]
    _check(subprocess.run(command, check=False).returncode)


def _umount(runner: HookRunner, argument: str) -> None:
    _check(subprocess.run(["umount", argument.split()[0]], check=False).returncode)


def _check(status: int) -> None:
    if status:
        raise ValueError(f"ended with status {status}")


_ACTIONS: dict[str, Callable[[HookRunner, str], object]] = {
    "alarm": _alarm,
    "append": lambda _, argument: _write(argument, os.O_APPEND),
    "appendn": lambda _, argument: _write(argument, os.O_APPEND, "\n"),
    "cd": lambda _, argument: os.chdir(argument),
    "chdir": lambda _, argument: os.chdir(argument),
    "chmod": lambda _, argument: _chmod(argument),
    "chown": lambda _, argument: _chown(argument),
    "chown2": lambda _, argument: _chown(argument),
    "creat": lambda _, argument: _create(argument),
    "create": lambda _, argument: _create(argument),
    "exec": _execute,
    "exit": lambda _, argument: _exit(argument),
    "hostname": lambda _, argument: socket.sethostname(argument),
    "log": lambda runner, argument: runner.log(argument),
    "mkdir": lambda _, argument: os.makedirs(argument, exist_ok=True),
    "mount": _mount,
    "putenv": lambda runner, argument: _put_variable(runner, argument),
    "print": lambda _, argument: _print(argument + "\n"),
    "println": lambda _, argument: _print(argument + "\n"),
    "rename": lambda _, argument: _rename(argument),
    "retryrpc": lambda runner, argument: retry_call(argument, runner.log),
    "rpc": lambda runner, argument: call(argument, runner.log),
    "safeexec": _execute_safely,
    "spinningfifo": lambda _, argument: write_fifo(argument, LIMIT_S),
    "sticky": lambda _, path: os.chmod(path, os.stat(path).st_mode | stat.S_ISVTX),
    "touch": lambda _, argument: _create(argument),
    "umount": _umount,
    "unix_signal": _bind,
    "unlink": lambda _, argument: os.unlink(argument),
    "wait_for_dir": lambda runner, path: wait_for_directory(path, runner.log),
    "wait_for_file": lambda runner, path: wait_for_file(path, runner.log),
    "wait_for_fs": lambda runner, path: wait_for_path(path, runner.log),
    "wait_for_socket": lambda runner, text: wait_for_socket(text, runner.log),
    "write": lambda _, argument: _write(argument, os.O_TRUNC),
    "writefifo": lambda _, argument: write_fifo(argument),
    "writen": lambda _, argument: _write(argument, os.O_TRUNC, "\n"),
}

_FOREIGN = dict.fromkeys(
    ("call", "callret", "callint", "callintret"), "there are no C functions to call"
)


# The phases, with the option that gives each its actions, and its commands.
PHASES = {
    "asap": ("hook_asap", "exec_asap"),
    "pre_jail": ("hook_pre_jail", "exec_pre_jail"),
    "in_jail": ("hook_in_jail", "exec_in_jail"),
    "post_jail": ("hook_post_jail", "exec_post_jail"),
    "as_root": ("hook_as_root", "exec_as_root"),
    "as_user": ("hook_as_user", "exec_as_user"),
    "as_user_atexit": ("hook_as_user_atexit", "exec_as_user_atexit"),
    "pre_app": ("hook_pre_app", "exec_pre_app"),
    "post_app": ("hook_post_app", "exec_post_app"),
    "master_start": ("hook_master_start", ""),
    "post_fork": ("hook_post_fork", ""),
    "accepting": ("hook_accepting", ""),
    "accepting_once": ("hook_accepting_once", ""),
    "accepting1": ("hook_accepting1", ""),
    "accepting1_once": ("hook_accepting1_once", ""),
    "as_gateway": ("hook_as_gateway", ""),
    "as_mule": ("hook_as_mule", ""),
    "emperor_start": ("hook_emperor_start", ""),
    "emperor_stop": ("hook_emperor_stop", ""),
    "emperor_reload": ("hook_emperor_reload", ""),
    "emperor_lost": ("hook_emperor_lost", ""),
    "as_emperor": ("hook_as_emperor", ""),
    "as_on_demand_vassal": ("hook_as_on_demand_vassal", ""),
    "as_emperor_before_vassal": ("hook_as_emperor_before_vassal", ""),
}


def actions_of(hooks: Hooks, phase: str) -> tuple[str, ...]:
    """The actions of a phase: those of hook-* first, then those of exec-*."""
    hook_option, exec_option = PHASES[phase]
    actions: tuple[str, ...] = getattr(hooks, hook_option)
    if exec_option:
        actions += as_exec(getattr(hooks, exec_option))
    return actions


def check_hooks(hooks: Hooks) -> None:
    """Raise ConfigError for an action that cannot be meant."""
    for phase in PHASES:
        for text in actions_of(hooks, phase):
            parse_action(text)
    for text in hooks.hook_touch:
        split_touch(text)


def split_touch(text: str) -> tuple[str, str]:
    """Read ``file action`` of hook-touch. Raises ConfigError."""
    path, _, action = text.partition(" ")
    if not action.strip():
        raise ConfigError(f"hook-touch: {text!r} is not file action")
    parse_action(action.strip())
    return path, action.strip()
