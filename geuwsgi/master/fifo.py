"""The master-fifo: one letter written to it is one command.

The master holds the fifo open for writing as well, so a writer's end is never the end
of the file: the fifo need not be made anew, and no writer is left with an old one.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

from geuwsgi.errors import StartupError
from geuwsgi.master.duty import Desk, Duty, Word
from geuwsgi.master.events import Request
from geuwsgi.options import Settings

MODE = 0o600

_REQUESTS = {
    "r": Request.RELOAD,
    "R": Request.BRUTAL_RELOAD,
    "c": Request.CHAIN_RELOAD,
    "w": Request.RELOAD_WORKERS,
    "W": Request.BRUTAL_RELOAD_WORKERS,
    "q": Request.STOP,
    "Q": Request.BRUTAL_STOP,
    "p": Request.PAUSE,
    "+": Request.MORE_WORKERS,
    "-": Request.FEWER_WORKERS,
    "C": Request.CHEAP,
}

# Letters of uWSGI that ask for what does not exist here.
_WITHOUT_MEANING = {
    "f": "the master is never forked anew: a reload starts fresh interpreters",
}


class FifoDuty(Duty):
    """Reads one of up to ten fifos; digits choose which."""

    def __init__(self, paths: tuple[str, ...], log: Callable[[str], None]) -> None:
        self.key = ("master-fifo", paths)
        # The working directory changes at a reload.
        self._paths = [os.path.abspath(path) for path in paths[:10]]
        self._log = log
        self._fileno = -1
        self._slot = 0
        self._desk: Desk | None = None
        self._letters: dict[str, Callable[[Desk], None]] = {
            "s": lambda desk: desk.log_statistics(),
            "l": lambda desk: desk.reopen_logs(),
            "L": lambda desk: desk.rotate_logs(),
            "P": lambda desk: desk.write_pidfiles(),
            "S": lambda desk: desk.toggle_subscriptions(),
            "B": lambda desk: desk.tell_duties(Word.HELP),
            "E": lambda desk: desk.tell_duties(Word.SEARCH),
        }

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        self._open(0)

    def end(self) -> None:
        self._close()
        for path in self._paths:
            with contextlib.suppress(OSError):
                if stat.S_ISFIFO(os.lstat(path).st_mode):
                    os.unlink(path)

    def _open(self, slot: int) -> None:
        path = self._paths[slot]
        try:
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISFIFO(os.lstat(path).st_mode):
                    raise StartupError(f"master-fifo: {path} exists and is no fifo")
                os.unlink(path)
            os.mkfifo(path, MODE)
            os.chmod(path, MODE)  # whatever the umask took away
            self._fileno = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as exc:
            raise StartupError(f"master-fifo: {path}: {exc.strerror}") from exc
        self._slot = slot
        assert self._desk is not None
        self._desk.watch(self._fileno, self._read)

    def _close(self) -> None:
        if self._fileno >= 0:
            assert self._desk is not None
            self._desk.unwatch(self._fileno)
            os.close(self._fileno)
            self._fileno = -1

    def _read(self) -> None:
        try:
            letters = os.read(self._fileno, 4096).decode("ascii", "replace")
        except BlockingIOError:
            return
        for letter in letters:
            self.obey(letter)

    def obey(self, letter: str) -> None:
        """Do what one letter says; unknown ones, such as line ends, are ignored."""
        desk = self._desk
        assert desk is not None
        if letter.isdigit() and letter.isascii():
            self._switch(int(letter))
        elif letter in _REQUESTS:
            desk.ask(_REQUESTS[letter], "fifo")
        elif letter in self._letters:
            self._letters[letter](desk)
        elif letter in _WITHOUT_MEANING:
            self._log(f"fifo: {letter} has no effect: {_WITHOUT_MEANING[letter]}")

    def _switch(self, slot: int) -> None:
        if slot >= len(self._paths) or slot == self._slot:
            return
        self._close()
        self._open(slot)
        self._log(f"active master fifo is now {self._paths[slot]}")


def fifo_duty(settings: Settings, log: Callable[[str], None]) -> FifoDuty | None:
    paths = settings.process.master_fifo
    return FifoDuty(paths, log) if paths else None
