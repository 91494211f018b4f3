"""What a process knows of the emperor who may have started it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Final

#: The variable in which an emperor tells a vassal its end of their socket.
EMPEROR_FD: Final = "UWSGI_EMPEROR_FD"


def is_vassal(environ: Mapping[str, str]) -> bool:
    """Whether an emperor started this process."""
    return emperor_fd(environ) is not None


def emperor_fd(environ: Mapping[str, str]) -> int | None:
    """The socket to the emperor; None without one."""
    text = environ.get(EMPEROR_FD, "")
    if not (text.isascii() and text.isdigit()):
        return None
    try:
        return int(text) if stat.S_ISSOCK(os.fstat(int(text)).st_mode) else None
    except OSError:
        return None
