"""What an emperor listens on for people: its statistics, and a bell to wake it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable

from geuwsgi.errors import StartupError
from geuwsgi.net.listeners import Listener, SocketOptions, Spec, open_listeners
from geuwsgi.net.reception import Reception

Watch = Callable[[int, Callable[[], None]], None]


class StatsDoor:
    """Gives JSON to whoever connects; what he does not take at once is lost."""

    def __init__(
        self,
        address: str,
        statistics: Callable[[], dict[str, object]],
        watch: Watch,
        unwatch: Callable[[int], None],
    ) -> None:
        """Raises StartupError or ConfigErrors if the address cannot be had."""
        options = SocketOptions(private=True)
        (self._listener,) = open_listeners([Spec("stats", address)], options)
        self._reception = Reception(self._listener.socket)
        self._statistics = statistics
        self._unwatch = unwatch
        watch(self._listener.fileno(), self._serve)

    @property
    def listener(self) -> Listener:
        return self._listener

    def close(self) -> None:
        self._unwatch(self._listener.fileno())
        self._reception.close()
        self._listener.close(vacuum=True)

    def _serve(self) -> None:
        visitor = self._reception.accept()
        if visitor is None:
            return
        with visitor:
            visitor.setblocking(False)
            text = json.dumps(self._statistics(), indent=1)
            try:
                visitor.send(text.encode("utf-8", "surrogateescape"))
            except OSError:
                return


class Bell:
    """A Unix datagram socket: whatever arrives rings (uWSGI: emperor-trigger-socket)."""

    def __init__(
        self,
        path: str,
        ring: Callable[[], None],
        watch: Watch,
        unwatch: Callable[[int], None],
    ) -> None:
        """Raises StartupError if the path cannot be had."""
        self._path = "" if path.startswith("@") else os.path.abspath(path)
        self._ring = ring
        self._unwatch = unwatch
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            if self._path:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path)
            self._socket.bind(self._path or f"\0{path[1:]}")
        except OSError as exc:
            self._socket.close()
            raise StartupError(
                f"emperor-trigger-socket {path}: {exc.strerror}"
            ) from exc
        watch(self._socket.fileno(), self._read)

    def close(self) -> None:
        self._unwatch(self._socket.fileno())
        self._socket.close()
        if self._path:
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(4096)
                self._ring()
