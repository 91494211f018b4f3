"""Statistics as collectors take them: statsd, carbon, uWSGI's socket. Pure.

A collector gets lines of text: one a datagram (statsd, socket), or many on a TCP
connection (carbon).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from geuwsgi.errors import ConfigError
from geuwsgi.shared.keyval import parse_keyval
from geuwsgi.stats.model import InstanceStats, WorkerStats

_COUNTER = 0
_OF_WORKERS = "worker."


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric and its value. ``kind`` is uWSGI's number: 0 is a counter."""

    name: str
    kind: int
    value: int


@dataclass(frozen=True)
class Pusher:
    """One value of stats-push. ``target`` is an address, or the path of a file."""

    kind: str
    target: str
    prefix: str = ""
    separator: str = ""
    frequency_s: float = 0.0  # 0: that of stats-pusher-default-freq


KINDS = ("file", "socket", "statsd")


def parse_pusher(text: str) -> Pusher:
    """Read ``kind:arguments``. Raises ConfigError."""
    kind, _, argument = text.partition(":")
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise ConfigError(f"stats-push: no pusher {kind!r} (known: {known})")
    if kind == "file":
        return _parse_file(text, argument)
    address, _, prefix = argument.partition(",")
    host, colon, port = address.strip().rpartition(":")
    if not (host and colon and port.isdigit() and port.isascii()):
        raise ConfigError(f"stats-push: {text!r} is not {kind}:host:port[,prefix]")
    return Pusher(kind, address.strip(), prefix.strip())


def _parse_file(text: str, argument: str) -> Pusher:
    values = {key: value or "" for key, value in parse_keyval(argument)}
    unknown = values.keys() - {"path", "separator", "freq"}
    if unknown:
        raise ConfigError(f"stats-push: {text!r}: unknown key {min(unknown)!r}")
    frequency = values.get("freq", "0")
    if not frequency.isdecimal():
        raise ConfigError(f"stats-push: {text!r}: freq {frequency!r} is no number")
    return Pusher(
        "file",
        values.get("path") or "uwsgi.stats",
        separator=values.get("separator", "").replace("\\n", "\n") or "\n\n",
        frequency_s=float(frequency),
    )


def socket_lines(metrics: Iterable[Metric], prefix: str) -> Iterator[bytes]:
    """The datagrams of uWSGI's pusher ``socket``."""
    for metric in metrics:
        yield f"{_named(prefix, metric.name)} {metric.kind} {metric.value}".encode()


def statsd_lines(
    metrics: Iterable[Metric],
    prefix: str,
    *,
    before: Mapping[str, int],
    all_gauges: bool = False,
    with_workers: bool = True,
) -> Iterator[bytes]:
    """The datagrams for statsd.

    statsd adds up what it gets of a counter, so it gets what came since the last push;
    ``before`` has the values of then. A counter that was not there yet, or was set
    back, counts from 0.
    """
    for metric in metrics:
        if metric.name.startswith(_OF_WORKERS) and not with_workers:
            continue
        name = _named(prefix, metric.name)
        if metric.kind == _COUNTER and not all_gauges:
            grown = metric.value - before.get(metric.name, 0)
            yield f"{name}:{grown if grown >= 0 else metric.value}|c".encode()
        else:
            yield f"{name}:{metric.value}|g".encode()


def _named(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


@dataclass(frozen=True)
class CarbonNaming:
    """What the names in carbon begin with."""

    root: str
    hostname: str
    identity: str

    def __str__(self) -> str:
        return ".".join(filter(None, (self.root, self.hostname, self.identity)))


def carbon_metrics(
    metrics: Iterable[Metric], naming: CarbonNaming, now: int
) -> Iterator[str]:
    """The lines of carbon-use-metrics."""
    for metric in metrics:
        yield f"{naming}.{metric.name} {metric.value} {now}\n"


@dataclass(frozen=True)
class Share:
    """What a worker did between two pushes. ``use`` is 0 to 1."""

    requests: int
    use: float


def carbon_lines(
    stats: InstanceStats,
    shares: Mapping[int, Share],
    naming: CarbonNaming,
    now: int,
    *,
    idle_average: str = "last",
    with_workers: bool = True,
) -> Iterator[str]:
    """The lines that carbon gets by default, under uWSGI's names.

    ``shares`` are those of each worker id. ``idle_average`` says what is the average
    time of a worker without a request: the ``last`` one, ``zero``, or ``none`` at all.
    """
    averages: list[int] = []
    uses: list[int] = []
    yield f"{naming}.requests {_total(stats.workers, 'requests')} {now}\n"
    for worker in stats.workers:
        share = shares.get(worker.id, Share(0, 0.0))
        busyness = min(100, round(100 * share.use))
        average: int | None = worker.avg_rt
        if not share.requests:
            average = {"zero": 0, "none": None}.get(idle_average, worker.avg_rt)
        if worker.pid:
            uses.append(busyness)
            if average is not None:
                averages.append(average)
        if not with_workers:
            continue
        name = f"{naming}.worker{worker.id}"
        yield f"{name}.requests {worker.requests} {now}\n"
        if average is not None:
            yield f"{name}.avg_rt {average} {now}\n"
        yield f"{name}.tx {worker.tx} {now}\n"
        yield f"{name}.busyness {busyness} {now}\n"
        yield f"{name}.harakiri {worker.harakiri_count} {now}\n"
    if averages or idle_average != "none":
        yield f"{naming}.avg_rt {sum(averages) // max(1, len(averages))} {now}\n"
    yield f"{naming}.tx {_total(stats.workers, 'tx')} {now}\n"
    yield f"{naming}.busyness {sum(uses) // max(1, len(uses))} {now}\n"
    yield f"{naming}.active_workers {len(uses)} {now}\n"
    yield f"{naming}.harakiri {_total(stats.workers, 'harakiri_count')} {now}\n"


def _total(workers: Iterable[WorkerStats], name: str) -> int:
    return sum(getattr(worker, name) for worker in workers)
