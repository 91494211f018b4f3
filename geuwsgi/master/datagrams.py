"""The duty of hearing datagrams on one UDP address."""

from __future__ import annotations

import socket
from typing import Any

from geuwsgi.master.duty import Desk, Duty
from geuwsgi.net.datagrams import bind_datagrams


class DatagramDuty(Duty):
    """Calls ``heard`` for each datagram that comes to ``address``.

    ``option`` names the address in errors. Of each datagram ``largest`` bytes are read,
    and ``at_once`` datagrams in one turn of the loop.
    """

    def __init__(
        self, address: str, option: str, *, largest: int, at_once: int
    ) -> None:
        self._address = address
        self._option = option
        self._largest = largest
        self._at_once = at_once
        self._desk: Desk | None = None
        self._socket: socket.socket | None = None

    def begin(self, desk: Desk) -> None:
        """Raises StartupError if the address cannot be had."""
        self._desk = desk
        self._socket = bind_datagrams(self._address, self._option)
        desk.watch(self._socket.fileno(), self._take)

    def end(self) -> None:
        if self._socket is not None and self._desk is not None:
            self._desk.unwatch(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def heard(self, datagram: bytes, peer: Any) -> bytes:
        """Take one datagram; return the answer, empty for none."""
        raise NotImplementedError

    def _take(self) -> None:
        assert self._socket is not None
        for _ in range(self._at_once):
            try:
                datagram, peer = self._socket.recvfrom(self._largest)
            except OSError:
                return
            answer = self.heard(datagram, peer)
            if answer:
                try:
                    self._socket.sendto(answer, peer)
                except OSError:
                    continue  # who asked asks again
