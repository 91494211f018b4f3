"""Memory that several processes share and that outlives each of them.

A region is an anonymous file (``memfd_create``; an unlinked temporary file where the
system has none) mapped shared. The master makes it before it starts the first
template and hands its descriptor on, so it survives a reload and an upgrade of the
workers' code. It costs memory only for the pages that were touched.

A region knows nothing about what lies in it.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections.abc import Mapping
from typing import Any

PAGE_SIZE = mmap.PAGESIZE

#: File systems that cannot keep room say one of these.
_NO_RESERVATIONS = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENODEV)


def round_up(size: int, multiple: int) -> int:
    """Return the smallest multiple of ``multiple`` that is not below ``size``."""
    return -(-size // multiple) * multiple


def reserve(fd: int, size: int) -> None:
    """Make a file ``size`` bytes long and have the disk keep room for all of it.

    A file that is only made longer gets its blocks when they are written. If the disk
    is full then, whoever writes to a mapping of it is killed by SIGBUS. Raises OSError
    if there is no room now.
    """
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as exc:
        if exc.errno not in _NO_RESERVATIONS:
            raise
        os.ftruncate(fd, size)


class Region:
    """A shared mapping and the descriptor it came from.

    ``memory`` is zero wherever nobody has written yet. The descriptor is closed on
    exec unless the one who starts the next process passes it on (``pass_fds``).
    """

    __slots__ = ("fd", "memory", "name", "size")

    def __init__(self, name: str, fd: int, size: int) -> None:
        """Map ``size`` bytes of ``fd``, which from now on belongs to this object."""
        self.name = name
        self.fd = fd
        self.size = size
        self.memory = mmap.mmap(fd, size)

    @classmethod
    def create(cls, name: str, size: int) -> Region:
        """Make a fresh region of at least ``size`` bytes, all zero."""
        size = round_up(max(size, 1), PAGE_SIZE)
        fd = _anonymous_file(name)
        try:
            os.ftruncate(fd, size)
            return cls(name, fd, size)
        except BaseException:
            os.close(fd)
            raise

    def to_wire(self) -> dict[str, Any]:
        """Return what ``from_wire`` needs in a process that inherits ``fd``."""
        return {"name": self.name, "fd": self.fd, "size": self.size}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Region:
        """Map the region again in a process that inherited its descriptor."""
        return cls(str(wire["name"]), int(wire["fd"]), int(wire["size"]))

    def close(self) -> None:
        """Give back the descriptor, and the mapping unless views of it remain."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        # A table may still look at it; the mapping ends with the last view.
        with contextlib.suppress(BufferError):
            self.memory.close()


def _anonymous_file(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(f"geuwsgi-{name}"[:249])
    import tempfile  # systems without it are few

    with tempfile.TemporaryFile(prefix="geuwsgi-") as file:
        return os.dup(file.fileno())
