"""Giving the listening sockets of an instance to others."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from geuwsgi.errors import ConfigError
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.net.listener import Listener
from geuwsgi.net.listeners import SocketOptions, Spec, open_listeners
from geuwsgi.net.reception import Reception
from geuwsgi.net.zerg import give_sockets, open_server
from geuwsgi.options import Settings


class ZergServerDuty(Duty):
    """Gives the sockets of the generation that serves to whoever connects."""

    def __init__(
        self,
        path: str,
        mode: int | None,
        listeners: list[Listener],
        log: Callable[[str], None],
    ) -> None:
        self.key = ("zerg-server", path, mode)
        self._path = path if path.startswith("@") else os.path.abspath(path)
        self._mode = mode
        self._listeners = listeners
        self._log = log
        self._desk: Desk | None = None
        self._server: socket.socket | None = None
        self._reception: Reception | None = None

    def begin(self, desk: Desk) -> None:
        """Raises StartupError if the path cannot be listened at."""
        mode = _private_mode() if self._mode is None else self._mode
        self._server = open_server(self._path, mode)
        self._reception = Reception(self._server)
        self._desk = desk
        desk.watch(self._server.fileno(), self._give)
        self._log(f"*** zerg server enabled on {self._path} ***")

    def follow(self, successor: Duty) -> None:
        assert isinstance(successor, ZergServerDuty)
        self._listeners = successor._listeners

    def end(self) -> None:
        if self._server is None:
            return
        assert self._desk is not None
        self._desk.unwatch(self._server.fileno())
        assert self._reception is not None
        self._reception.close()
        self._server.close()
        self._server = None
        if not self._path.startswith("@"):
            os.unlink(self._path)

    def _give(self) -> None:
        assert self._reception is not None
        visitor = self._reception.accept()
        if visitor is None:
            return
        with visitor:
            filenos = dict.fromkeys(listener.fileno() for listener in self._listeners)
            try:
                give_sockets(visitor, list(filenos))
            except OSError as exc:
                self._log(f"zerg-server: sockets were not taken: {exc.strerror}")


def _private_mode() -> int:
    """What the umask leaves, but nothing for others: who connects gets the sockets."""
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o770 & ~umask


def zerg_duty(
    settings: Settings, listeners: list[Listener], log: Callable[[str], None]
) -> ZergServerDuty | None:
    path = settings.subscription.zerg_server
    if not path:
        return None
    return ZergServerDuty(path, settings.sockets.chmod_socket, listeners, log)


class ZergPoolDuty(Duty):
    """Holds listening sockets that it serves nothing on, for zerg clients."""

    def __init__(
        self,
        path: str,
        addresses: tuple[str, ...],
        options: SocketOptions,
        log: Callable[[str], None],
    ) -> None:
        self.key = ("zerg-pool", path, addresses, options)
        self._path = path
        self._addresses = addresses
        self._options = options
        self._log = log
        self._listeners: list[Listener] = []
        self._server: ZergServerDuty | None = None

    def begin(self, desk: Desk) -> None:
        """Raises StartupError or ConfigErrors for what cannot be listened at."""
        specs = [Spec("socket", address) for address in self._addresses]
        self._listeners = open_listeners(specs, self._options)
        for index, listener in enumerate(self._listeners):
            self._log(listener.describe(index))
        self._server = ZergServerDuty(
            self._path, self._options.mode, self._listeners, self._log
        )
        self._server.begin(desk)

    def end(self) -> None:
        if self._server is not None:
            self._server.end()
            self._server = None
        for listener in self._listeners:
            listener.close(vacuum=True)
        self._listeners = []


def parse_pool(text: str) -> tuple[str, tuple[str, ...]]:
    """Read ``path:address,address`` of zerg-pool. Raises ConfigError."""
    path, _, addresses = text.partition(":")
    if not path or not addresses:
        raise ConfigError(f"zerg-pool: {text!r} is not path:address,address")
    return path, tuple(filter(None, addresses.split(",")))


def zerg_pool_duties(
    settings: Settings, options: SocketOptions, log: Callable[[str], None]
) -> list[ZergPoolDuty]:
    """Raises ConfigError for pools that cannot be meant."""
    return [
        ZergPoolDuty(*parse_pool(text), options, log)
        for text in settings.subscription.zergpool
    ]
