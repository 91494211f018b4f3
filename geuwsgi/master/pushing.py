"""The duty that pushes statistics to collectors: stats-push and carbon.

What is sent is made in the master's loop, from shared memory; sending is a thread's
business, since names must be looked up, servers connected to and files written. While
one push is on its way, the next of the same pusher is left out.
"""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from time import time

from geuwsgi.background.sections import metrics_section
from geuwsgi.errors import ConfigError
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.prepared import Prepared
from geuwsgi.master.statistics import snapshot_of
from geuwsgi.options import Settings
from geuwsgi.stats.model import InstanceStats
from geuwsgi.stats.pushers import (
    CarbonNaming,
    Metric,
    Pusher,
    Share,
    carbon_lines,
    carbon_metrics,
    parse_pusher,
    socket_lines,
    statsd_lines,
)
from geuwsgi.stats.uwsgijson import encode_stats

Send = Callable[[], None]
_DATAGRAM_TIMEOUT_S = 3.0


@dataclass(slots=True, eq=False)
class _Line:
    """One pusher. ``make`` collects what to send, and returns what sends it."""

    name: str
    frequency_s: float
    make: Callable[[], Send]
    next_at: float = 0.0
    sending: threading.Thread | None = None
    failure: str = ""


@dataclass(slots=True)
class _Progress:
    """What a worker had done at the last push."""

    requests: int = 0
    running_us: int = 0
    hub_us: int = 0


@dataclass(slots=True)
class _Memory:
    """What has to be known of the last push of one pusher."""

    at: float = 0.0
    values: dict[str, int] = field(default_factory=dict)
    progress: dict[int, _Progress] = field(default_factory=dict)


class PushingDuty(Duty):
    """All pushers. Goes on through reloads that change nothing about them."""

    def __init__(
        self, prepared: Prepared, *, started_on: int, log: Callable[[str], None]
    ) -> None:
        options = prepared.settings.stats
        self._prepared = prepared
        self._started_on = started_on
        self._log = log
        self.key = ("pushing", options)
        self._desk: Desk | None = None
        self._lines = [
            _Line(
                f"stats-push {pusher.kind}:{pusher.target}",
                pusher.frequency_s or options.stats_pusher_default_freq or 3.0,
                self._maker(pusher),
            )
            for pusher in map(parse_pusher, options.stats_push)
        ]
        for server in options.carbon:
            self._lines.append(
                _Line(
                    f"carbon {server}",
                    options.carbon_freq or 60.0,
                    self._carbon_maker(server),
                )
            )

    def begin(self, desk: Desk) -> None:
        self._desk = desk

    def follow(self, successor: Duty) -> None:
        assert isinstance(successor, PushingDuty)
        self._prepared = successor._prepared

    def next_deadline(self) -> float:
        return min((line.next_at for line in self._lines), default=math.inf)

    def tick(self, now: float) -> None:
        for line in self._lines:
            if now < line.next_at:
                continue
            line.next_at = now + line.frequency_s
            if line.sending is None or not line.sending.is_alive():
                self._push(line)

    def end(self) -> None:
        for line in self._lines:
            if line.sending is not None:
                line.sending.join(0.2)

    def _push(self, line: _Line) -> None:
        send = line.make()

        def run() -> None:
            try:
                send()
                failure = ""
            except OSError as exc:
                failure = (exc.strerror or str(exc)).lower()
            # Once when it breaks, and when it is mended.
            if failure != line.failure:
                line.failure = failure
                self._log(f"{line.name}: {failure or 'statistics are taken again'}")

        line.sending = threading.Thread(target=run, daemon=True)
        line.sending.start()

    # -- what is sent ------------------------------------------------------------------

    def _maker(self, pusher: Pusher) -> Callable[[], Send]:
        memory = _Memory()

        def make() -> Send:
            if pusher.kind == "file":
                octets = encode_stats(self._snapshot()) + pusher.separator.encode()
                return lambda: _append(pusher.target, octets)
            metrics = self._metrics()
            if pusher.kind == "socket":
                datagrams = list(socket_lines(metrics, pusher.prefix))
            else:
                options = self._prepared.settings.stats
                datagrams = list(
                    statsd_lines(
                        metrics,
                        pusher.prefix,
                        before=memory.values,
                        all_gauges=options.statsd_all_gauges,
                        with_workers=not options.statsd_no_workers,
                    )
                )
                memory.values = {metric.name: metric.value for metric in metrics}
            return lambda: _send_datagrams(pusher.target, datagrams)

        return make

    def _carbon_maker(self, server: str) -> Callable[[], Send]:
        host, _, port = server.rpartition(":")
        memory = _Memory()

        def make() -> Send:
            settings = self._prepared.settings
            naming = carbon_naming(self._prepared)
            if settings.stats.carbon_use_metrics:
                lines = carbon_metrics(self._metrics(), naming, int(time()))
            else:
                lines = self._carbon_lines(memory, naming)
            octets = "".join(lines).encode()
            options = settings.stats
            return lambda: _send_stream(
                (host, int(port)),
                octets,
                timeout_s=options.carbon_timeout or 3.0,
                retries=options.carbon_max_retry,
                delay_s=min(options.carbon_retry_delay, options.carbon_freq or 60.0),
            )

        return make

    def _carbon_lines(self, memory: _Memory, naming: CarbonNaming) -> Iterator[str]:
        stats = self._snapshot()
        options = self._prepared.settings.stats
        now = time()
        elapsed_us = max(now - memory.at, 0.001) * 1e6 if memory.at else math.inf
        memory.at = now
        shares: dict[int, Share] = {}
        for worker in stats.workers:
            before = memory.progress.get(worker.id, _Progress())
            progress = _Progress(
                worker.requests, worker.running_time, worker.hub_busy_us
            )
            memory.progress[worker.id] = progress
            # Of its cores, and of the time of its process: see master.adaptive.
            cores = max(progress.running_us - before.running_us, 0) / worker.core_count
            hub = max(progress.hub_us - before.hub_us, 0)
            shares[worker.id] = Share(
                progress.requests - before.requests, max(cores, hub) / elapsed_us
            )
        return carbon_lines(
            stats,
            shares,
            naming,
            int(now),
            idle_average=options.carbon_idle_avg or "last",
            with_workers=not options.carbon_no_workers,
        )

    def _snapshot(self) -> InstanceStats:
        assert self._desk is not None
        return snapshot_of(
            self._prepared, started_on=self._started_on, sections=self._desk.sections()
        )

    def _metrics(self) -> list[Metric]:
        prepared = self._prepared
        if prepared.commons.metrics is None:
            return []
        found = metrics_section(
            prepared.commons, prepared.settings, prepared.scoreboard
        )
        return [
            Metric(name, metric["type"], metric["value"])
            for name, metric in found.items()
        ]


def carbon_naming(prepared: Prepared) -> CarbonNaming:
    """What names begin with: root, host, and the instance or its first socket."""
    options = prepared.settings.stats
    dots = options.carbon_hostname_dots
    hostname = socket.gethostname()
    first = prepared.listeners[0].name if prepared.listeners else ""
    return CarbonNaming(
        root=(options.carbon_root or "").rstrip("."),
        hostname=hostname if dots is None else hostname.replace(".", dots),
        identity=options.carbon_id or first.replace(".", "_"),
    )


def check_pushers(settings: Settings) -> None:
    """Raise ConfigError for pushers and servers that cannot be meant."""
    for text in settings.stats.stats_push:
        parse_pusher(text)
    for server in settings.stats.carbon:
        host, _, port = server.rpartition(":")
        if not (host and port.isdecimal()):
            raise ConfigError(f"carbon: {server!r} is not host:port")


def pushing_duty(
    prepared: Prepared, *, started_on: int, log: Callable[[str], None]
) -> PushingDuty | None:
    """Raises ConfigError for pushers that cannot be meant."""
    check_pushers(prepared.settings)
    options = prepared.settings.stats
    if not options.stats_push and not options.carbon:
        return None
    return PushingDuty(prepared, started_on=started_on, log=log)


# -- in a thread -----------------------------------------------------------------------


def _append(path: str, octets: bytes) -> None:
    fileno = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        os.write(fileno, octets)
    finally:
        os.close(fileno)


def _send_datagrams(target: str, datagrams: Iterable[bytes]) -> None:
    host, _, port = target.rpartition(":")
    family, kind, number, _, address = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_DGRAM
    )[0]
    with socket.socket(family, kind, number) as sender:
        sender.settimeout(_DATAGRAM_TIMEOUT_S)
        for datagram in datagrams:
            sender.sendto(datagram, address)


def _send_stream(
    address: tuple[str, int],
    octets: bytes,
    *,
    timeout_s: float,
    retries: int,
    delay_s: float,
) -> None:
    host = address[0].strip("[]")
    while True:
        try:
            with socket.create_connection((host, address[1]), timeout_s) as stream:
                stream.sendall(octets)
            return
        except OSError:
            if retries <= 0:
                raise
            retries -= 1
            threading.Event().wait(delay_s)
