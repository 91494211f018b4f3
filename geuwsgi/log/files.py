"""Log files, and how they are rotated and opened again."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable

from geuwsgi.errors import StartupError
from geuwsgi.log.sinks import Unnamed


class FileSink(Unnamed):
    """Appends to a file.

    With ``max_bytes`` the file is rotated when it is larger: renamed to
    ``backup_name``, or to its own name and the unix time, and begun anew. ``mode`` and
    ``owner`` are set on every file opened. A file that cannot be opened anew leaves the
    old one in use.
    """

    def __init__(
        self,
        path: str,
        *,
        max_bytes: int = 0,
        backup_name: str = "",
        mode: int | None = None,
        owner: tuple[int, int] | None = None,
        truncate: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # The working directory may change later.
        self.path = os.path.abspath(path)
        self._max_bytes = max_bytes
        self._backup_name = backup_name
        self._mode = mode
        self._owner = owner
        self._clock = clock
        # The size is looked at between lines.
        self.takes_many = not max_bytes
        try:
            self._fd = self._open(os.O_TRUNC if truncate else 0)
        except OSError as exc:
            reason = (exc.strerror or str(exc)).lower()
            raise StartupError(f"cannot open the log file {path}: {reason}") from exc
        self._size = os.fstat(self._fd).st_size

    def fileno(self) -> int:
        """Return the descriptor; another one after reopen or rotate."""
        return self._fd

    def write(self, line: bytes) -> None:
        """See Sink."""
        # A full disk is no reason to stop serving.
        with contextlib.suppress(OSError):
            self._size += os.write(self._fd, line)
        if self._max_bytes and self._size > self._max_bytes:
            self.rotate()

    def reopen(self) -> None:
        """See Sink."""
        try:
            opened = self._open(0)
        except OSError as exc:
            self._complain(f"cannot reopen the log file {self.path}: {exc.strerror}")
            return
        os.close(self._fd)
        self._fd = opened
        self._size = os.fstat(opened).st_size

    def rotate(self) -> None:
        """See Sink."""
        name = self._backup_name or self._free_name()
        # The size is reckoned anew even if this fails: not to try at every line.
        self._size = 0
        try:
            os.rename(self.path, name)
        except OSError as exc:
            self._complain(f"cannot rename the log file to {name}: {exc.strerror}")
            return
        self.reopen()

    def _free_name(self) -> str:
        # There may be one of this second, or of a clock that was put right.
        name = dated = f"{self.path}.{int(self._clock())}"
        number = 0
        while os.path.lexists(name):
            number += 1
            name = f"{dated}.{number}"
        return name

    def close(self) -> None:
        """See Sink."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self, flags: int) -> int:
        flags |= os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        opened = os.open(self.path, flags, 0o640)
        try:
            if self._mode is not None:
                os.fchmod(opened, self._mode)
            if self._owner is not None:
                os.fchown(opened, *self._owner)
        except OSError:
            os.close(opened)
            raise
        return opened

    def _complain(self, sentence: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._fd, f"*** {sentence.lower()} ***\n".encode())
