"""A spooler's task files, in uWSGI's format.

A task is a uwsgi packet with modifier1 17, whose block is a dictionary, and behind it
the body. It appears under its name at once and whole: it is written under another name
first, which no spooler looks at. A spooler holds a record lock on the file while it
works on the task; if it dies, the lock goes and the task stays.

A modification time in the future keeps a task waiting (``at``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import uwsgi

PREFIX = "uwsgi_spoolfile_on_"
_WRITING_PREFIX = ".writing_"
SPOOL_REQUEST = 17
LARGEST_BLOCK = 0xFFFF
# What is older than this and still has its first name was never finished.
_ABANDONED_S = 3600.0


class SpoolError(Exception):
    """A task cannot be written, or a file is no task."""


@dataclass(slots=True)
class Task:
    """What a task file holds."""

    path: str
    fields: dict[bytes, bytes]
    body: bytes = b""


@dataclass
class TaskWriter:
    """Writes task files; one for each process, for it counts them."""

    hostname: str = field(default_factory=socket.gethostname)
    _count: int = 0

    def write(
        self,
        directory: str,
        fields: Mapping[bytes, bytes],
        *,
        body: bytes = b"",
        priority: str = "",
        at: float = 0.0,
    ) -> str:
        """Write a task and return its path. Raises SpoolError."""
        block = _encode_block(fields)
        if priority in (".", "..") or "/" in priority or "\0" in priority:
            raise SpoolError(f"a priority is a name, not {priority!r}")
        if priority:
            directory = os.path.join(directory, priority)
        name = self._next_name()
        path = os.path.join(directory, name)
        unfinished = os.path.join(directory, _WRITING_PREFIX + name)
        try:
            if priority:
                os.makedirs(directory, exist_ok=True)
            packet = uwsgi.encode_packet(SPOOL_REQUEST, block)
            fd = _open_new(unfinished)
            try:
                _write_task(fd, packet, body, at)
                os.rename(unfinished, path)
            finally:
                os.close(fd)
        except OSError as exc:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            raise SpoolError(f"cannot write {path}: {exc.strerror}") from exc
        return path

    def _next_name(self) -> str:
        self._count += 1
        now = time.time_ns() // 1000
        return (
            f"{PREFIX}{self.hostname}_{os.getpid()}_{self._count}"
            f"_{random.randrange(1 << 31)}_{now // 1_000_000}_{now % 1_000_000}"
        )


def _encode_block(fields: Mapping[bytes, bytes]) -> bytes:
    if any(len(item) > LARGEST_BLOCK for pair in fields.items() for item in pair):
        raise SpoolError(f"a key or value has more than {LARGEST_BLOCK} bytes")
    block = uwsgi.encode_vars(dict(fields))
    if len(block) > LARGEST_BLOCK:
        raise SpoolError(f"{len(block)} bytes are too many; use a body")
    return block


def _open_new(path: str) -> int:
    """Create a file; the lock, held until it is closed, tells that somebody writes."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(OSError):  # there are file systems without
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


def _write_task(fd: int, packet: bytes, body: bytes, at: float) -> None:
    rest = memoryview(packet + body if len(body) < 65536 else packet)
    while rest:
        rest = rest[os.write(fd, rest) :]
    if len(body) >= 65536:
        rest = memoryview(body)
        while rest:
            rest = rest[os.write(fd, rest) :]
    if at:
        os.utime(fd, (at, at))


def read_task(path: str) -> Task:
    """Return the task in a file. Raises SpoolError for garbage, OSError otherwise."""
    with open(path, "rb") as file:
        return decode_task(path, file.read())


def decode_task(path: str, octets: bytes) -> Task:
    """Return the task that a file's bytes make. Raises SpoolError."""
    if len(octets) < uwsgi.HEADER_SIZE:
        raise SpoolError(f"{path} has only {len(octets)} bytes")
    modifier1, size, _ = uwsgi.decode_header(octets)
    end = uwsgi.HEADER_SIZE + size
    if modifier1 != SPOOL_REQUEST or len(octets) < end:
        raise SpoolError(f"{path} is no task: it begins {octets[:8]!r}")
    try:
        items = uwsgi.decode_array(octets[uwsgi.HEADER_SIZE : end])
    except RemoteProtocolError as exc:
        raise SpoolError(f"{path} is no task: {exc}") from exc
    if len(items) % 2:
        raise SpoolError(f"{path} is no task: its last key has no value")
    fields = dict(zip(items[::2], items[1::2], strict=True))
    return Task(path, fields, octets[end:])


def scan(directory: str, *, ordered: bool = False) -> Iterator[str]:
    """Yield the paths of the tasks in a directory and its priorities.

    Priorities come first, numeric ones in their order; with ``ordered`` the tasks of
    each come in the order of their names. Raises nothing: what cannot be read is left
    out.
    """
    tasks, priorities = _list(directory)
    for name in sorted(priorities, key=_priority_order):
        inner, _ = _list(os.path.join(directory, name))
        for task in sorted(inner) if ordered else inner:
            yield os.path.join(directory, name, task)
    for task in sorted(tasks) if ordered else tasks:
        yield os.path.join(directory, task)


def _list(directory: str) -> tuple[list[str], list[str]]:
    tasks: list[str] = []
    priorities: list[str] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.startswith(PREFIX):
                    tasks.append(entry.name)
                elif entry.name.startswith(_WRITING_PREFIX):
                    _remove_abandoned(entry)
                elif entry.is_dir(follow_symlinks=False):
                    priorities.append(entry.name)
    except OSError:
        return tasks, priorities
    return tasks, priorities


def _remove_abandoned(entry: os.DirEntry[str]) -> None:
    """Remove what a process left that died while it wrote."""
    with contextlib.suppress(OSError):
        if time.time() - entry.stat().st_mtime <= _ABANDONED_S:
            return
        # It may only seem old: clocks jump, and those of file servers are others.
        fd = os.open(entry.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(entry.path)
        finally:
            os.close(fd)


def _priority_order(name: str) -> tuple[int, int, str]:
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)


def due_at(status: os.stat_result) -> float:
    """When a task may be done: the time its file was given, or 0 if it was given none.

    A file that merely was written has no time to come: if it seems to have, the clock
    has gone back since.
    """
    is_given = status.st_mtime > status.st_ctime
    return status.st_mtime if is_given else 0.0


class TaskFile:
    """A task file that this process works on: open and locked."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def claim(cls, path: str, now: float) -> TaskFile | None:
        """Open and lock a task file.

        None if it is gone, another process has it, or its time has not come.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(fd)
            # Its last owner may have finished it between the look and the lock.
            if status.st_nlink and due_at(status) <= now:
                return cls(path, fd)
        except OSError:
            pass
        os.close(fd)
        return None

    def read(self) -> Task:
        """Return the task. Raises SpoolError for garbage."""
        size = os.fstat(self._fd).st_size
        octets = bytearray()
        while len(octets) < size:
            piece = os.pread(self._fd, size - len(octets), len(octets))
            if not piece:
                break
            octets += piece
        return decode_task(self.path, bytes(octets))

    def remove(self) -> None:
        """The task is done."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def close(self) -> None:
        """Let other processes have it."""
        os.close(self._fd)
