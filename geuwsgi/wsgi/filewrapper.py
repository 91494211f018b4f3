"""``wsgi.file_wrapper``: the application's way to say "send this file"."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import Any

#: Their fileno() is that of the compressed file, whose bytes are others.
_DECODERS = frozenset({"bz2", "compression", "gzip", "lzma", "tarfile", "zipfile"})


def _decodes(filelike: Any) -> bool:
    """Whether the object reads other bytes than its descriptor."""
    if isinstance(filelike, (io.BufferedReader, io.BufferedRandom)):
        filelike = filelike.raw
    return type(filelike).__module__.partition(".")[0] in _DECODERS


class FileWrapper:
    """Wraps a file-like object as an iterable of blocks (PEP 3333).

    If it is returned by the application unchanged and the object is a real file,
    the server sends it without reading it (``file_region``).
    """

    __slots__ = ("block_size", "filelike")

    def __init__(self, filelike: Any, block_size: int = 32768) -> None:
        self.filelike = filelike
        self.block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.filelike.read(self.block_size), b"")

    def close(self) -> None:
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()

    def file_region(self) -> tuple[int, int, int] | None:
        """Return (descriptor, offset, count) of what is left of a regular file.

        None if the object is anything else, which must then be read.
        """
        fileno = getattr(self.filelike, "fileno", None)
        if fileno is None or _decodes(self.filelike):
            return None
        try:
            fd = fileno()
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return None
            offset = self.filelike.tell()
        except (OSError, ValueError, AttributeError, io.UnsupportedOperation):
            return None
        return fd, offset, max(0, status.st_size - offset)
