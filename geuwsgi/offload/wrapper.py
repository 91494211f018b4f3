"""``wsgi.file_wrapper``: the application hands over a file (PEP 3333).

The server looks for the descriptor behind the object and lets the kernel send it.
Where there is none that holds exactly the bytes ``read`` would return, the object is
iterated in blocks like any other.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

# Their fileno() is that of the compressed file; sending it would send other bytes.
_DECODERS = frozenset({"gzip", "bz2", "lzma", "compression", "zipfile", "tarfile"})


class FileSource(NamedTuple):
    """The part of an open regular file that an object stands for."""

    fd: int
    offset: int
    size: int


class FileWrapper:
    """The object an application makes with ``environ['wsgi.file_wrapper']``."""

    __slots__ = ("_file", "block_size")

    def __init__(self, file: Any, block_size: int = 8192) -> None:
        self._file = file
        # uWSGI takes the block size and ignores it; 0 or less would never end.
        self.block_size = block_size if block_size > 0 else 8192

    @property
    def file(self) -> Any:
        """The wrapped object."""
        return self._file

    def source(self) -> FileSource | None:
        """The descriptor and bytes to send instead of iterating, if there are any.

        Sending starts where the object stands, not at the start of the file, as PEP
        3333 wants; uWSGI does the same with the position of the descriptor.
        """
        return file_source(self._file)

    def close(self) -> None:
        """Close the wrapped object, if it can be closed."""
        close = getattr(self._file, "close", None)
        if close is not None:
            close()

    def __iter__(self) -> Iterator[bytes]:
        read = self._file.read
        while True:
            block = read(self.block_size)
            if not block:
                return
            yield block


def file_source(file: Any) -> FileSource | None:
    """Find the regular file that holds the bytes ``file.read()`` would return."""
    innermost = file
    if isinstance(innermost, (io.BufferedReader, io.BufferedRandom)):
        innermost = innermost.raw
    if isinstance(innermost, io.TextIOBase):
        return None
    if type(innermost).__module__.partition(".")[0] in _DECODERS:
        return None
    try:
        fd = file.fileno()
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        tell = getattr(file, "tell", None)
        # Reading ahead moves the descriptor, not the object.
        offset = tell() if tell is not None else os.lseek(fd, 0, os.SEEK_CUR)
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    if type(fd) is not int or type(offset) is not int:
        return None
    return FileSource(fd, offset, max(status.st_size - offset, 0))
