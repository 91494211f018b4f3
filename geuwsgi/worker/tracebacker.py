"""Tells on a socket what a worker is doing (uWSGI: py-tracebacker).

A thread of the system waits there, so that it answers even when a greenlet blocks the
others. Whoever connects gets the stacks and the end of the connection.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import socket
import sys
import traceback
from collections.abc import Callable

from gevent import monkey

_PLAIN_SOCKET: type[socket.socket] = monkey.get_original("socket", "socket")
_start_thread: Callable[..., int] = monkey.get_original("_thread", "start_new_thread")


class Tracebacker:
    """Serves ``report`` (the requests in flight) and the threads' stacks on ``path``.

    What cannot be opened is told to ``log``; a worker can do without.
    """

    def __init__(
        self, path: str, report: Callable[[], str], log: Callable[[str], None]
    ) -> None:
        self._path = path
        self._report = report
        self._log = log
        self._inode = 0
        self._socket: socket.socket | None = None

    def start(self) -> None:
        opened = _PLAIN_SOCKET(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)  # of the worker before this one
            opened.bind(self._path)
            os.chmod(self._path, 0o600)  # stacks and addresses are not for everybody
            opened.listen(4)
            self._inode = os.stat(self._path).st_ino
        except OSError as exc:
            opened.close()
            self._log(f"py-tracebacker: {self._path}: {exc.strerror}")
            return
        self._socket = opened
        _start_thread(self._serve, ())
        self._log(f"python tracebacker for this worker available on {self._path}")

    def close(self) -> None:
        """Remove the socket's file, unless a successor has made its own."""
        if self._socket is None:
            return
        with contextlib.suppress(OSError):
            if os.stat(self._path).st_ino == self._inode:
                os.unlink(self._path)

    def _serve(self) -> None:
        assert self._socket is not None
        while True:
            try:
                visitor, _ = _PLAIN_SOCKET.accept(self._socket)
            except OSError:
                return
            with visitor:
                # A visitor who does not read must not keep the next one waiting.
                visitor.settimeout(5.0)
                with contextlib.suppress(OSError):
                    visitor.sendall(self._text().encode("utf-8", "backslashreplace"))

    def _text(self) -> str:
        parts = ["*** uWSGI Python tracebacker output ***\n\n"]
        me = _thread.get_ident()
        for thread, frame in sys._current_frames().items():
            if thread != me:
                parts.append(f"thread_id = {thread}\n")
                parts.extend(traceback.format_stack(frame))
                parts.append("\n")
        parts.append(self._report())
        return "".join(parts)
