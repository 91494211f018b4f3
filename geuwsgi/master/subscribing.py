"""Announce this instance to routers while it serves, and say goodbye first.

The goodbye comes before the workers stop accepting, or at the same moment: a router
that hears it sends nothing more here. A reload goes on announcing.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import time
from collections.abc import Callable, Sequence

from geuwsgi.config import Configuration
from geuwsgi.errors import StartupError
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.net.listener import Listener
from geuwsgi.routers.announcing import Target, targets_of
from geuwsgi.routers.plan import for_workers
from geuwsgi.routers.subscriptions import send_datagram
from geuwsgi.shared import scoreboard as sb


class SubscribingDuty(Duty):
    """Announces ``targets`` every ``every_s`` seconds.

    ``says_goodbye_at_reload`` is unsubscribe-on-graceful-reload. On ``notify_path``
    the answers of routers are received and logged.
    """

    key = "subscriptions"

    def __init__(
        self,
        targets: Sequence[Target],
        log: Callable[[str], None],
        *,
        every_s: float,
        cores: int,
        starts_silent: bool = False,
        says_goodbye_at_reload: bool = False,
        notify_path: str = "",
    ) -> None:
        self._targets = list(targets)
        self._log = log
        self._every_s = max(every_s, 1.0)
        self._cores = cores
        self._is_silent = starts_silent
        self._says_goodbye_at_reload = says_goodbye_at_reload
        self._notify_path = notify_path
        self._notify: socket.socket | None = None
        self._desk: Desk | None = None
        self._next = math.inf
        self._is_told = False
        self._failed: set[str] = set()

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        if self._notify_path:
            self._open_notify(desk)

    def serving(self) -> None:
        assert self._desk is not None
        if self._next == math.inf and not self._desk.is_leaving():
            self._next = self._desk.now()

    def next_deadline(self) -> float:
        if self._is_told and self._desk is not None and self._desk.is_leaving():
            return 0.0
        return self._next

    def tick(self, now: float) -> None:
        assert self._desk is not None
        if self._desk.is_leaving():
            self._say_goodbye()
            self._next = math.inf
        elif now >= self._next:
            self._next = now + self._every_s
            if not self._is_silent:
                self._announce(self._targets)

    def toggle_subscriptions(self) -> None:
        self._is_silent = not self._is_silent
        if self._is_silent:
            self._log("subscriptions are off")
            self._say_goodbye()
        elif self._next != math.inf:
            self._log("subscriptions are on")
            self._announce(self._targets)

    def follow(self, successor: Duty) -> None:
        assert isinstance(successor, SubscribingDuty)
        kept = {target.identity for target in successor._targets}
        gone = [target for target in self._targets if target.identity not in kept]
        if self._is_told:
            if self._says_goodbye_at_reload:
                gone = self._targets
            self._take_back(gone)
        times = {target.identity: target.told_unix for target in self._targets}
        self._targets = successor._targets
        for target in self._targets:
            target.told_unix = times.get(target.identity, 0)
        self._every_s = successor._every_s
        self._cores = successor._cores
        self._says_goodbye_at_reload = successor._says_goodbye_at_reload
        if self._next != math.inf:
            self._next = 0.0

    def end(self) -> None:
        self._say_goodbye()
        if self._notify is not None:
            assert self._desk is not None
            self._desk.unwatch(self._notify.fileno())
            self._notify.close()
            with contextlib.suppress(OSError):
                os.unlink(self._notify_path)

    # -- telling -----------------------------------------------------------------------

    def _announce(self, targets: Sequence[Target]) -> None:
        self._is_told = True
        for target in targets:
            if target.check and not os.path.exists(target.check):
                continue
            self._send(target, leaves=False)

    def _say_goodbye(self) -> None:
        if self._is_told:
            self._is_told = False
            self._take_back(self._targets)

    def _take_back(self, targets: Sequence[Target]) -> None:
        for target in targets:
            self._log(f"unsubscribing from {target.text}")
            self._send(target, leaves=True)

    def _send(self, target: Target, *, leaves: bool) -> None:
        packet = target.packet(
            leaves=leaves,
            load=self._load(),
            cores=self._cores,
            unix=int(time.time()),
        )
        if send_datagram(target.family, target.server, packet):
            self._failed.discard(target.text)
        elif target.text not in self._failed:
            self._failed.add(target.text)
            self._log(f"nobody takes the announcement of {target.text}")

    def _load(self) -> int:
        assert self._desk is not None
        return sum(m.row[sb.CORES_BUSY] for m in self._desk.serving_workers())

    # -- answers -----------------------------------------------------------------------

    def _open_notify(self, desk: Desk) -> None:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._notify_path)
            opened.bind(self._notify_path)
            opened.setblocking(False)
        except OSError as exc:
            opened.close()
            raise StartupError(
                f"subscription-notify-socket: {self._notify_path}: {exc.strerror}"
            ) from exc
        self._notify = opened
        desk.watch(opened.fileno(), self._hear)

    def _hear(self) -> None:
        assert self._notify is not None
        try:
            message = self._notify.recv(4096)
        except OSError:
            return
        text = message.decode("utf-8", "replace")
        self._log("".join(c if c.isprintable() else "?" for c in text))


def subscribing_duty(
    configuration: Configuration,
    listeners: Sequence[Listener],
    log: Callable[[str], None],
) -> SubscribingDuty | None:
    """The duty, if anything is announced. Raises ConfigError."""
    settings = configuration.settings
    subscription = settings.subscription
    if not (subscription.subscribe_to or subscription.subscribe2):
        return None
    workers = settings.workers
    cores = workers.gevent or workers.async_ or max(workers.threads, 1)
    return SubscribingDuty(
        targets_of(configuration, for_workers(listeners, settings)),
        log,
        every_s=subscription.subscribe_freq,
        cores=max(workers.processes, 1) * cores,
        starts_silent=subscription.start_unsubscribed,
        says_goodbye_at_reload=subscription.unsubscribe_on_graceful_reload,
        notify_path=os.path.abspath(subscription.subscription_notify_socket)
        if subscription.subscription_notify_socket
        else "",
    )
