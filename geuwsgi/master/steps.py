"""Small steps of the start: locks that keep a second instance away, files to write."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence

from geuwsgi.errors import StartupError
from geuwsgi.options import Process


def take_locks(process: Process, log: Callable[[str], None]) -> list[int]:
    """Lock what ``flock``, ``flock2`` and their waiting twins name.

    The locks last as long as this process, over an exec too; the descriptors are theirs.
    Raises StartupError if somebody holds one that is not to be waited for, or a file
    cannot be opened (it is not made).
    """
    held = []
    for name, path, waits in (
        ("flock", process.flock, False),
        ("flock-wait", process.flock_wait, True),
        ("flock2", process.flock2, False),
        ("flock-wait2", process.flock_wait2, True),
    ):
        if path:
            held.append(_lock(name, path, waits=waits, log=log))
    return held


def _lock(name: str, path: str, *, waits: bool, log: Callable[[str], None]) -> int:
    try:
        fileno = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as exc:
        raise StartupError(f"{name}: {path}: {exc.strerror}") from exc
    try:
        # Of the kind that uWSGI takes, so that both keep each other away.
        fcntl.lockf(fileno, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if not waits:
            os.close(fileno)
            raise StartupError(f"{name}: {path} is locked by another process") from exc
        log(f"{name}: waiting for the lock of {path} ...")
        fcntl.lockf(fileno, fcntl.LOCK_EX)
    os.set_inheritable(fileno, True)  # a lone worker replaces this process
    return fileno


def write_files(texts: Sequence[str]) -> None:
    """Write what ``file-write`` asks for: ``path=content``. Raises StartupError."""
    for text in texts:
        path, equals, content = text.partition("=")
        if not equals:
            raise StartupError(f"file-write needs path=content: {text!r}")
        try:
            # Whatever the umask allows: never for others to write.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            with os.fdopen(os.open(path, flags, 0o644), "w") as file:
                file.write(content)
        except OSError as exc:
            raise StartupError(f"file-write: {path}: {exc.strerror}") from exc
