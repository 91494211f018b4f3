"""Leaving the terminal, and the files that say who we are."""

from __future__ import annotations

import contextlib
import os

from geuwsgi.errors import StartupError


def redirect_log(path: str) -> None:
    """Have standard output and error go to the end of ``path``.

    Raises StartupError if it cannot be written.
    """
    try:
        fileno = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    except OSError as exc:
        raise StartupError(
            f"cannot write the log {path}: {(exc.strerror or '').lower()}"
        ) from exc
    os.dup2(fileno, 1)
    os.dup2(fileno, 2)
    os.close(fileno)


class Launcher:
    """The process a person started, waiting for the daemon it has become.

    ``detach`` returns in the daemon only. The process that was started exits with 0
    when the daemon calls ``release``, or with the daemon's status if that ends before.
    """

    def __init__(self, writer: int) -> None:
        self._writer = writer

    @classmethod
    def detach(cls) -> Launcher:
        """Fork twice, leave the session; returns in the grandchild."""
        reader, writer = os.pipe()
        child = os.fork()
        if child:
            os.close(writer)
            with os.fdopen(reader, "rb") as pipe:
                told = pipe.read(1)
            if told:
                os._exit(told[0])
            _, waited = os.waitpid(child, 0)
            os._exit(os.waitstatus_to_exitcode(waited) or 1)
        os.close(reader)
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        return cls(writer)

    def release(self, status: int = 0) -> None:
        """Let the process that was started exit with ``status``."""
        if self._writer >= 0:
            with contextlib.suppress(OSError):
                os.write(self._writer, bytes((status & 0xFF,)))
            os.close(self._writer)
            self._writer = -1


class PidFile:
    """A file that holds the number of the master process."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)

    def write(self, pid: int) -> None:
        """Raises StartupError if it cannot be written."""
        try:
            with open(self.path, "w", encoding="ascii", opener=_opener) as file:
                file.write(f"{pid}\n")
        except OSError as exc:
            raise StartupError(
                f"cannot write the pidfile {self.path}: {(exc.strerror or '').lower()}"
            ) from exc

    def check_free(self) -> None:
        """Raises StartupError if the process the file names lives (safe-pidfile)."""
        pid = self.read()
        if pid and pid != os.getpid() and lives(pid):
            raise StartupError(f"the pidfile {self.path} belongs to process {pid}")

    def read(self) -> int:
        """The number in the file; 0 if there is no file or no number."""
        try:
            with open(self.path, encoding="ascii") as file:
                return int(file.read(32).strip() or 0)
        except (OSError, ValueError):
            return 0

    def remove(self, pid: int) -> bool:
        """Remove the file if it still holds ``pid``; whether it did."""
        if self.read() != pid:
            return False
        try:
            os.unlink(self.path)
        except OSError:
            return False
        return True


def lives(pid: int) -> bool:
    """Whether there is a process with this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _opener(path: str, flags: int) -> int:
    # Whoever can write it chooses what the next reload or stop signals: not for
    # others, whatever the umask says.
    return os.open(path, flags, 0o644)


def read_pidfile(path: str) -> int:
    """The process id in ``path``, for commands that signal it.

    Raises StartupError if there is none.
    """
    pid = PidFile(path).read()
    if pid <= 0:
        raise StartupError(f"there is no process id in {path}")
    return pid
