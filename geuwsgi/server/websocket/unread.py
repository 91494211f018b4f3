"""What the kernel holds for a socket that nobody reads."""

from __future__ import annotations

import sys
import termios
from fcntl import ioctl
from typing import Final

_NO_BYTES: Final = bytes(4)


def unread_bytes(fd: int) -> int:
    """Return how many received bytes wait to be read; 0 if ``fd`` is gone."""
    try:
        return int.from_bytes(ioctl(fd, termios.FIONREAD, _NO_BYTES), sys.byteorder)
    except (OSError, ValueError):
        return 0
