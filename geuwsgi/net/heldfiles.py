"""Files that only root may read, read before privileges are dropped.

The master copies them into anonymous files, whose descriptors its templates inherit.
A copy has a path (``/proc/self/fd/N``), for libraries that open files themselves.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping


def hold_files(paths: Iterable[str]) -> dict[str, int]:
    """Copy the files; return the descriptor of each. What cannot be read is left out.

    Nothing is held where the system has no anonymous files.
    """
    held: dict[str, int] = {}
    if not hasattr(os, "memfd_create"):
        return held
    for path in dict.fromkeys(paths):
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            continue
        fileno = os.memfd_create("geuwsgi-held", os.MFD_CLOEXEC)
        with open(fileno, "wb", closefd=False) as copy:
            copy.write(content)
        held[path] = fileno
    return held


class HeldFiles:
    """What `hold_files` returned, for who wants to read the files."""

    def __init__(self, held: Mapping[str, int] | None = None) -> None:
        self._held = dict(held or {})

    def replace_unreadable(self, *paths: str) -> tuple[str, ...]:
        """``paths`` that can be read together: as they are, or their copies.

        If one of them cannot be read and there are copies of all, the copies: a key
        of yesterday does not fit the certificate of today. Empty paths stay.
        """
        if all(is_readable(path) for path in paths if path):
            return paths
        if all(path in self._held for path in paths if path):
            return tuple(path and f"/proc/self/fd/{self._held[path]}" for path in paths)
        return paths

    def is_outdated(self, path: str) -> bool:
        """Whether ``path`` is readable and says something else than its copy."""
        if path not in self._held:
            return False
        try:
            with open(path, "rb") as file:
                now = file.read()
        except OSError:
            return False
        size = os.fstat(self._held[path]).st_size
        return now != os.pread(self._held[path], size, 0)


def is_readable(path: str) -> bool:
    """Whether this process may read the file now, and it is there."""
    try:
        # A pipe, which is no file to be had, would be waited for.
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except (OSError, ValueError):
        return False
    return True
