"""Opened files, and what is remembered about them.

A worker that serves the same few hundred files again and again should not resolve,
name and date them each time. A ``Record`` holds what was derived from one file; it
is used again only after ``stat`` has shown the same device, inode, size, mtime and
ctime. That the path still leads below its root is checked again when the record is
older than ``trust_s``: within that time only moving a whole directory and linking it
from its old place could go unnoticed.

The bodies of small files are kept too, but only of files that had been at rest for
two seconds when they were read: two writes within one tick of the file system's
clock have the same mtime.

Everything here is blocking file system calls on the hub's thread, a few microseconds
each on a local disk.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable

from geuwsgi.protocol.dates import format_http_date
from geuwsgi.server.static.paths import is_below, is_below_any

MAX_RECORDS = 2048
MAX_BODY = 16 * 1024
MAX_BODIES = 8 * 1024 * 1024
AT_REST_NS = 2_000_000_000

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Root:
    """A directory (or a single file) below which files may be served.

    Its real path is looked up at most once in ``trust_s``: deployments flip the
    symbolic link that leads to the current release.
    """

    __slots__ = ("_is_file", "_looked_up", "_real", "_trust_s", "path")

    def __init__(self, path: str, *, trust_s: float = 1.0) -> None:
        self.path = path
        self._trust_s = trust_s
        self._looked_up = float("-inf")
        self._real = ""
        self._is_file = False

    def real(self, now: float) -> str:
        """The real path, at the monotonic time ``now``."""
        if now - self._looked_up >= self._trust_s:
            self._look(now)
        return self._real

    def is_file(self, now: float) -> bool:
        """Whether it is a single file, at the monotonic time ``now``."""
        if now - self._looked_up >= self._trust_s:
            self._look(now)
        return self._is_file

    def _look(self, now: float) -> None:
        self._real = os.path.realpath(self.path)
        self._is_file = os.path.isfile(self._real)
        self._looked_up = now


class Record:
    """What is known about one file, at one moment."""

    __slots__ = (
        "body",
        "etag",
        "headers",
        "last_modified",
        "media_type",
        "mtime",
        "path",
        "real_path",
        "root",
        "signature",
        "size",
        "twins",
        "verified_until",
    )

    def __init__(
        self,
        path: str,
        root: Root,
        *,
        real_path: str,
        result: os.stat_result,
        media_type: str | None,
    ) -> None:
        self.path = path
        self.root = root
        self.real_path = real_path
        self.signature = signature_of(result)
        self.size = result.st_size
        self.mtime = int(result.st_mtime)
        self.last_modified = format_http_date(self.mtime)
        self.etag = f'"{result.st_mtime_ns:x}-{result.st_size:x}"'
        self.media_type = media_type
        self.body: bytes | None = None
        #: The fields of a 200 that depends on nothing but the file.
        self.headers: list[tuple[str, str]] | None = None
        self.verified_until = 0.0
        # Pre-compressed twins: (coding, path), found when the record was verified.
        self.twins: tuple[tuple[str, str], ...] | None = None


Signature = tuple[int, int, int, int, int]


def signature_of(result: os.stat_result) -> Signature:
    """What must be equal for a file to count as unchanged."""
    return (
        result.st_ino,
        result.st_mtime_ns,
        result.st_ctime_ns,
        result.st_size,
        result.st_dev,
    )


class FileStore:
    """Finds, opens and remembers files."""

    def __init__(
        self,
        type_of: Callable[[str], str | None],
        *,
        safe: Iterable[str] = (),
        trust_s: float = 1.0,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """``safe`` are directories outside of a root that links may lead to."""
        self._type_of = type_of
        self._clock_ns = clock_ns
        self._safe = tuple(Root(path, trust_s=trust_s) for path in safe)
        self._trust_s = trust_s
        self._records: dict[str, Record] = {}
        self._bodies = 0

    def find(self, path: str, root: Root) -> Record | None:
        """The regular file at ``path`` if it may be served from ``root``, else None.

        ``path`` must not have been built from a request without ``paths.joined``.
        """
        record = self._records.get(path)
        now = time.monotonic()
        if record is not None:
            # Another root may lead to the same path and not allow it.
            if now < record.verified_until and record.root is root:
                try:
                    result = os.stat(path)
                except OSError:
                    self._forget(record)
                    return None
                if signature_of(result) == record.signature:
                    return record
            self._forget(record)
        return self._look(path, root, now)

    def is_fresh(self, record: Record) -> bool:
        """Whether a record found before may be used without looking again."""
        if time.monotonic() >= record.verified_until:
            return False
        try:
            result = os.stat(record.path)
        except OSError:
            return False
        return signature_of(result) == record.signature

    def open_fresh(self, record: Record) -> int | None:
        """Open the file of a record found before; None if it is to be looked for again.

        Does what ``is_fresh`` and ``open`` do with one system call less.
        """
        if time.monotonic() >= record.verified_until:
            return None
        return self.open(record)

    def open(self, record: Record) -> int | None:
        """Open the file of a record that ``find`` has just returned.

        Returns a descriptor that the caller closes, or None if the file is no longer
        the one that was found.
        """
        try:
            fd = os.open(record.path, _OPEN_FLAGS)
        except OSError:
            return None
        if signature_of(os.fstat(fd)) == record.signature:
            return fd
        os.close(fd)
        return None

    def _look(self, path: str, root: Root, now: float) -> Record | None:
        try:
            # Before open: opening a device may do something to it.
            if not stat.S_ISREG(os.stat(path).st_mode):
                return None
            fd = os.open(path, _OPEN_FLAGS)
        except (OSError, ValueError):
            return None
        try:
            result = os.fstat(fd)
            if not stat.S_ISREG(result.st_mode):
                return None
            real_path = _real_path_of(fd, path, result)
            if real_path is None or not self._is_allowed(real_path, root, now):
                return None
            record = Record(
                path,
                root,
                real_path=real_path,
                result=result,
                media_type=self._type_of(path),
            )
            record.verified_until = now + self._trust_s
            if result.st_size <= MAX_BODY:
                self._keep_body(fd, record, result)
        finally:
            os.close(fd)
        self._remember(record)
        return record

    def _is_allowed(self, real_path: str, root: Root, now: float) -> bool:
        return is_below(real_path, root.real(now)) or is_below_any(
            real_path, (safe.real(now) for safe in self._safe)
        )

    def _keep_body(self, fd: int, record: Record, result: os.stat_result) -> None:
        changed = max(result.st_mtime_ns, result.st_ctime_ns)
        if self._clock_ns() - changed < AT_REST_NS:
            return
        body = os.pread(fd, MAX_BODY + 1, 0)
        if len(body) == record.size:
            record.body = body
            self._bodies += len(body)

    def _remember(self, record: Record) -> None:
        records = self._records
        while records and (len(records) >= MAX_RECORDS or self._bodies > MAX_BODIES):
            self._forget(next(iter(records.values())))
        records[record.path] = record

    def _forget(self, record: Record) -> None:
        if self._records.pop(record.path, None) is record and record.body is not None:
            self._bodies -= len(record.body)


def _real_path_of(fd: int, path: str, result: os.stat_result) -> str | None:
    """Where an open file really is.

    Linux tells it of the descriptor, so nobody can swap a link between the question
    and the answer. Elsewhere the path is resolved and must lead to the same inode.
    """
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        pass
    real_path = os.path.realpath(path)
    try:
        found = os.stat(real_path)
    except OSError:
        return None
    if (found.st_dev, found.st_ino) != (result.st_dev, result.st_ino):
        return None
    return real_path
