"""The installed command with a configuration, from its start to its last child.

`ServerProcess` starts ``python -m geuwsgi`` (or any other command, such as a real
``uwsgi``, to compare with) in a directory of the test's own, waits until it serves,
collects its log, stops it by pid and finds everything that outlived it. Linux only:
the processes are found through ``/proc``.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from geuwsgi.testing.client import connect

#: The installed command, in the Python that runs the test.
GEUWSGI = (sys.executable, "-m", "geuwsgi")

_POLL_S = 0.01
_MARK = "GEUWSGI_TESTING_RUN"
_LOG = "server.log"
_LINES_TOLD = 60


class ServerFailed(AssertionError):
    """The server did not do what was waited for; the message ends with its log."""


class ServerProcess:
    """One run of the server.

    ``arguments`` are what a person types after the command's name. The working
    directory is ``directory``; what the server prints is in `log`. Use it as a
    context manager: on the way out everything still running is killed.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        directory: Path,
        command: Sequence[str] = GEUWSGI,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.directory = directory
        self._files_before = set(directory.rglob("*"))
        self._run = uuid.uuid4().hex
        self._log_path = directory / _LOG
        self._command_line = " ".join([*command, *arguments])
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *arguments],
                cwd=directory,
                env={**os.environ, **(environment or {}), _MARK: self._run},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Its own session: a terminal's Ctrl-C is not for it, and its
                # children can be told from everybody else's.
                start_new_session=True,
                pass_fds=pass_fds,
            )

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """All that the server printed so far."""
        return self._log_path.read_text(errors="replace")

    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self, *addresses: str, timeout: float = 15.0) -> None:
        """Return when every address accepts a connection.

        Raises `ServerFailed` if the server ends first or ``timeout`` passes. A
        server that binds before it loads the application is ready early; its first
        request then takes as long as the application does to load.
        """
        for address in addresses:
            self._wait(partial(_accepts, address), f"listens on {address}", timeout)

    def wait_for_log(
        self, pattern: str, *, count: int = 1, timeout: float = 15.0
    ) -> list[re.Match[str]]:
        """Return the matches of ``pattern`` in the log once there are ``count``.

        ``^`` and ``$`` match at lines. Raises `ServerFailed` as above.
        """
        compiled = re.compile(pattern, re.MULTILINE)
        self._wait(
            lambda: len(compiled.findall(self.log)) >= count,
            f"logs {count} times {pattern!r}",
            timeout,
        )
        return list(compiled.finditer(self.log))

    def wait_for(
        self, condition: Callable[[], bool], what: str, *, timeout: float = 15.0
    ) -> None:
        """Return when ``condition`` holds; ``what`` tells a failure's reader."""
        self._wait(condition, what, timeout, may_end=True)

    def processes(self) -> dict[int, str]:
        """The living processes of this run and their command lines, by pid.

        Found by the run's mark in their environment, their session, or descent, so
        that neither a daemon nor a process that renamed itself escapes.
        """
        table = _process_table()
        family = {self.pid}
        found: dict[int, str] = {}
        for pid, process in sorted(table.items()):
            if process.parent in family:
                family.add(pid)
        mark = f"{_MARK}={self._run}".encode()
        for pid, process in table.items():
            if process.is_zombie:
                continue
            if (
                pid in family
                or process.session == self.pid
                or mark in _read(f"/proc/{pid}/environ").split(b"\0")
            ):
                line = _read(f"/proc/{pid}/cmdline").rstrip(b"\0").replace(b"\0", b" ")
                found[pid] = line.decode(errors="replace")
        return found

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = 15.0) -> int:
        """Wait for the command to end; return its exit status (-N: killed by N)."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ServerFailed(self._told(f"did not end in {timeout} s")) from None

    def stop(
        self, number: signal.Signals = signal.SIGINT, *, timeout: float = 15.0
    ) -> int:
        """Ask the server to end and return its exit status."""
        if self.is_running():
            self.send_signal(number)
        return self.wait(timeout)

    def assert_nothing_left(self, *, timeout: float = 5.0) -> None:
        """After the end: no process of this run lives, no new file lies about.

        What Python caches of the application and the log this class keeps do not
        count. Raises `ServerFailed` naming what is left after ``timeout`` seconds.
        """
        self._wait(
            lambda: not self.processes(), "ends all processes", timeout, may_end=True
        )
        if files := self.left_files():
            raise ServerFailed(self._told(f"left files behind: {files}"))

    def left_files(self) -> list[str]:
        """The files in the directory that were not there before the start."""
        return sorted(
            str(path.relative_to(self.directory))
            for path in set(self.directory.rglob("*")) - self._files_before
            if path != self._log_path and "__pycache__" not in path.parts
        )

    def kill(self) -> None:
        """Kill every process of this run and reap the first."""
        while self.is_running() or self.processes():
            for pid in self.processes():
                _kill(pid)
            try:
                self._process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                continue

    def _wait(
        self,
        condition: Callable[[], bool],
        what: str,
        timeout: float,
        *,
        may_end: bool = False,
    ) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            # Once more after the end: it may have come true just before.
            if not may_end and not self.is_running() and not condition():
                status = self._process.returncode
                raise ServerFailed(
                    self._told(f"ended with status {status} before it {what}")
                )
            if time.monotonic() > deadline:
                raise ServerFailed(
                    self._told(f"has not reached in {timeout} s: {what}")
                )
            time.sleep(_POLL_S)

    def _told(self, what: str) -> str:
        last_lines = "\n".join(self.log.splitlines()[-_LINES_TOLD:])
        return (
            f"the server {what}\n--- command: {self._command_line}\n"
            f"--- processes: {self.processes()}\n--- log:\n{last_lines}"
        )


class _Process:
    __slots__ = ("is_zombie", "parent", "session")

    def __init__(self, stat: bytes) -> None:
        # The name in brackets may hold blanks and brackets: count from its end.
        state, parent, _group, session = stat.rpartition(b")")[2].split()[:4]
        self.is_zombie = state in (b"Z", b"X")
        self.parent = int(parent)
        self.session = int(session)


def _process_table() -> dict[int, _Process]:
    table: dict[int, _Process] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := _read(f"/proc/{name}/stat")):
            table[int(name)] = _Process(stat)
    return table


def _read(path: str) -> bytes:
    """The file's content; nothing if the process is gone or not ours to read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _accepts(address: str) -> bool:
    try:
        connect(address, timeout=5.0).close()
    except OSError:
        return False
    return True
