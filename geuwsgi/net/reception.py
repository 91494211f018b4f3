"""Accepting visitors in a process that must never spin: the master, an emperor.

Out of descriptors, accept() fails and the visitor stays, so that the selector tells of
him for ever. A descriptor is held in reserve for that: he is let in and sent away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Final

_USED_UP: Final = (errno.EMFILE, errno.ENFILE)


class Reception:
    """Accepts on ``listening``, which it does not close."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def accept(self) -> socket.socket | None:
        """Return a visitor; None if there is none, or he could not be let in."""
        try:
            return self._listening.accept()[0]
        except OSError as exc:
            if exc.errno in _USED_UP:
                self._send_away()
            return None

    def close(self) -> None:
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1

    def _send_away(self) -> None:
        self.close()
        with contextlib.suppress(OSError):
            self._listening.accept()[0].close()
        with contextlib.suppress(OSError):
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
