"""Commands the master runs beside the instance: daemons, crons, touch-exec.

They run through the shell, in a session of their own, so that they can be ended with
everything they started, and they inherit none of the master's descriptors.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from geuwsgi.worker.fork import die_with_parent

SHELL = "/bin/sh"
# Words that the shell would give to the program as they are.
_SIMPLE = re.compile(r"[\w./+:@%,-]+( +[\w./+:@%,=-]+)*", re.ASCII)


@dataclass(frozen=True)
class ShellCommand:
    """A command line for the shell, and how it is run."""

    line: str
    chdir: str = ""
    uid: int | None = None
    gid: int | None = None
    environ: Mapping[str, str] | None = None
    shell: str = SHELL
    keeps_stdin: bool = False
    #: What the kernel sends to the shell when the master ends without a word; 0: nothing.
    orphans_signal: int = 0

    def start(self) -> int:
        """Start it; return its process id, for ``Desk.expect``. Raises OSError."""
        orphans_signal = self.orphans_signal
        process = subprocess.Popen(
            [
                self.shell,
                "-c",
                _without_shell(self.line) if orphans_signal else self.line,
            ],
            stdin=None if self.keeps_stdin else subprocess.DEVNULL,
            cwd=self.chdir or None,
            env=None if self.environ is None else dict(self.environ),
            user=self.uid,
            group=self.gid,
            start_new_session=True,
            # The master has no threads, so this is safe.
            preexec_fn=(
                (lambda: die_with_parent(orphans_signal)) if orphans_signal else None
            ),
        )
        process.returncode = 0  # the loop buries it, not Popen
        return process.pid


def _without_shell(line: str) -> str:
    """Have a program that needs no shell take its place: it gets the signals then."""
    is_program = _SIMPLE.fullmatch(line) and shutil.which(line.partition(" ")[0])
    return f"exec {line}" if is_program else line


def signal_group(pid: int, number: int) -> bool:
    """Signal the session that ``ShellCommand.start`` made; whether it was there."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def parse_signal(text: str) -> int:
    """A signal by number or name (``15``, ``TERM``, ``SIGTERM``).

    Raises ValueError if there is none.
    """
    if text.isdigit():
        return signal.Signals(int(text))
    name = text.upper()
    if not name.startswith("SIG"):
        name = f"SIG{name}"
    with contextlib.suppress(KeyError):
        return signal.Signals[name]
    raise ValueError(f"{text!r} is no signal")
