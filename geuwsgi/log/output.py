"""Where the output of an instance's processes goes.

``open_output`` is called once by the master (or the lone process), before it has
children. Without log-master it lets the standard descriptors lead to the log, and that
is all. With it, the master reads what everybody writes (`geuwsgi.log.collecting`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geuwsgi.errors import StartupError
from geuwsgi.log.pipe import MasterStream
from geuwsgi.log.stamp import line_stamp

if TYPE_CHECKING:
    from geuwsgi.log.files import FileSink
    from geuwsgi.options.logging import Logging

STANDARD_FDS = (1, 2)


def is_datagram_target(target: str) -> bool:
    """Whether the value of logto is ``host:port`` and no path."""
    host, colon, port = target.rpartition(":")
    return bool(colon and host and port.isdigit() and "/" not in target)


def open_output(
    logging: Logging,
    *,
    target: str = "",
    owner: tuple[int, int] | None = None,
    touch_reopen: Sequence[str] = (),
    touch_rotate: Sequence[str] = (),
) -> Output:
    """Have the output of this process, and of those it starts, go where the options say.

    ``target`` is the file (or ``host:port``) of logto or daemonize. ``owner`` is what
    logfile-chown gives log files to. Raises ConfigError or StartupError.
    """
    options = OutputOptions(logging, owner if logging.logfile_chown else None)
    watched = (Touched(touch_reopen), Touched(touch_rotate))
    if not logging.log_master:
        output = Output(options, *watched)
        if target:
            output.redirect(target)
        return output
    from geuwsgi.log.collecting import MasterOutput  # a third of the package

    return MasterOutput(options, *watched, target=target)


@dataclass(frozen=True, slots=True)
class OutputOptions:
    logging: Logging
    owner: tuple[int, int] | None

    def open_file(self, path: str, *, rotates: bool) -> FileSink:
        # Where nothing is logged to files, their module is not wanted.
        from geuwsgi.log.files import FileSink

        logging = self.logging
        return FileSink(
            path,
            max_bytes=logging.log_maxsize if rotates else 0,
            backup_name=logging.log_backupname or "",
            mode=logging.logfile_chmod,
            owner=self.owner,
            truncate=logging.log_truncate,
        )


class Output:
    """The standard descriptors, leading to a file or to where they led before.

    ``readers`` are descriptors the master has to watch, and to call `read` for.
    ``request_fd`` is where workers write request lines.
    """

    readers: tuple[int, ...] = ()
    request_fd: int = 2

    def __init__(
        self, options: OutputOptions, touched_reopen: Touched, touched_rotate: Touched
    ) -> None:
        self._options = options
        self._touched_reopen = touched_reopen
        self._touched_rotate = touched_rotate
        self._file: FileSink | None = None
        self._former = sys.stdout, sys.stderr
        stamp = line_stamp(options.logging)
        if stamp is not None:
            sys.stderr = MasterStream(_write_to_stderr, stamp)

    def redirect(self, target: str) -> None:
        """Have the log go to ``target`` from now on (uWSGI: logto2)."""
        if is_datagram_target(target):
            _redirect_to_datagrams(target)
            return
        sink = self._options.open_file(target, rotates=False)
        redirect_standard(sink.fileno())
        self._file = sink

    def hear(self, callback: Callable[[bytes], None] | None) -> None:
        """Call back with each line, before it is written; None: no more.

        Only with log-master does a line come by here.
        """

    def read(self, fd: int) -> None:
        """Take what ``fd``, one of ``readers``, has."""

    def tick(self) -> None:
        """Do what is due; to be called about once a second."""
        if self._touched_reopen.is_touched():
            self.reopen()
        if self._touched_rotate.is_touched():
            self.rotate()

    def reopen(self) -> None:
        """Open the log files anew, after somebody moved them.

        Without log-master this reaches the master and processes started later.
        """
        if self._file is not None:
            self._file.reopen()
            redirect_standard(self._file.fileno())

    def rotate(self) -> None:
        """Rename the log files and begin new ones."""
        if self._file is not None:
            self._file.rotate()
            redirect_standard(self._file.fileno())

    def close(self) -> None:
        """Write what is left, after all other processes have ended."""
        sys.stdout, sys.stderr = self._former


class Touched:
    """Files whose time of change is a command."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._times = {path: _time_of(path) for path in paths}

    def is_touched(self) -> bool:
        """Whether one was changed, made or removed since the last call."""
        touched = False
        for path, before in self._times.items():
            now = _time_of(path)
            if now != before:
                self._times[path] = now
                touched = True
        return touched


def _time_of(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _write_to_stderr(line: bytes) -> None:
    # A full disk is no reason to stop serving.
    with contextlib.suppress(OSError):
        os.write(2, line)


def redirect_standard(fd: int) -> None:
    for standard in STANDARD_FDS:
        os.dup2(fd, standard)


def _redirect_to_datagrams(target: str) -> None:
    host, _, port = target.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        try:
            opened.connect((host, int(port)))
        except (OSError, OverflowError) as exc:
            raise StartupError(f"cannot send the log to {target}: {exc}") from exc
        redirect_standard(opened.fileno())
