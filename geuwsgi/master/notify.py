"""Tell the service manager how it goes (sd_notify(3)), and feed its watchdog.

The manager learns that the service is ready when a worker is, not when the master is;
that a generation is being built; that the instance ends.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping

from geuwsgi.master.duty import Desk, Duty
from geuwsgi.options import Settings


class NotifyDuty(Duty):
    """Sends datagrams to ``address``; what is lost is lost.

    ``watchdog_s`` is how often the manager wants a sign of life; 0: never.
    """

    def __init__(self, address: str, watchdog_s: float = 0.0) -> None:
        self.key = ("sd_notify", address, watchdog_s)
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._interval_s = watchdog_s / 2
        self._next_feed = math.inf
        self._is_ready = False
        self._desk: Desk | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        self.tell(f"STATUS=loading the application\nMAINPID={os.getpid()}")
        if self._interval_s:
            self._next_feed = desk.now() + self._interval_s

    def serving(self) -> None:
        if not self._is_ready:
            self._is_ready = True
            self.tell("READY=1\nSTATUS=serving")

    def next_deadline(self) -> float:
        return self._next_feed

    def tick(self, now: float) -> None:
        if now >= self._next_feed:
            self._next_feed = now + self._interval_s
            self.tell("WATCHDOG=1")

    def end(self) -> None:
        self.tell("STOPPING=1\nSTATUS=stopping")

    def tell(self, message: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), self._address)
        except OSError:
            return  # nobody listens there


def notify_duty(settings: Settings, environ: Mapping[str, str]) -> NotifyDuty | None:
    """The manager's address is in the environment, or in the option notify-socket."""
    address = settings.process.notify_socket or environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    meant_for = environ.get("WATCHDOG_PID", str(os.getpid()))
    watchdog_s = 0.0
    if microseconds.isdigit() and meant_for == str(os.getpid()):
        watchdog_s = int(microseconds) / 1e6
    return NotifyDuty(address, watchdog_s)
