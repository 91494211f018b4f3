"""A part of a file in blocks, for streams that the kernel cannot send it on."""

from __future__ import annotations

import os
from collections.abc import Iterator


def file_blocks(fd: int, offset: int, count: int, size: int) -> Iterator[bytes]:
    """Yield ``count`` bytes of ``fd`` from ``offset``, at most ``size`` at a time.

    Fewer if the file ends early. The descriptor's own position stays where it is.
    """
    left = count
    while left:
        block = os.pread(fd, min(left, size), offset)
        if not block:
            return
        yield block
        offset += len(block)
        left -= len(block)
