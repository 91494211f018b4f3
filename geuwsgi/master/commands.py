"""Options that act on a running instance, or print something, and exit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from geuwsgi.config import Configuration
from geuwsgi.errors import StartupError
from geuwsgi.master.daemon import read_pidfile


def find_command(configuration: Configuration) -> Callable[[], int] | None:
    """What to do instead of serving; None if the server shall serve."""
    commands = configuration.commands
    for path, number in (
        (commands.reload, signal.SIGHUP),
        (commands.stop, signal.SIGINT),
        (commands.pause or commands.suspend or commands.resume, signal.SIGTSTP),
    ):
        if path:
            return _signal_command(path, number)
    return None


def _signal_command(path: str, number: signal.Signals) -> Callable[[], int]:
    def run() -> int:
        pid = read_pidfile(path)
        try:
            os.kill(pid, number)
        except OSError as exc:
            raise StartupError(
                f"cannot signal process {pid} of {path}: {(exc.strerror or '').lower()}"
            ) from exc
        return 0

    return run
