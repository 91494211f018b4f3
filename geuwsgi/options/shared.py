"""Memory shared between processes: queue, locks, areas, metrics."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, TEXT, TEXTS


class Shared(Section):
    """Memory shared between processes: queue, locks, areas, metrics."""

    channels: str | None = option(
        "pass the messages of geuwsgi.channel through this Redis server", TEXT
    )
    metric_alarm: tuple[str, ...] = option(
        "raise an alarm at a value of a metric",
        TEXTS,
        aliases=(
            "alarm-metric",
            "metric-threshold",
        ),
        implies=(
            "enable-metrics",
            "master",
        ),
    )
    enable_metrics: bool = option("collect metrics", FLAG, implies=("master",))
    locks: int = option(
        "create this many more locks for the application", INT, at_least=0, when_true=1
    )
    locks_server: str | None = option(
        "keep the locks of the application on this Redis server, for many machines",
        TEXT,
    )
    metric: tuple[str, ...] = option(
        "define a metric: name or name=…,type=… and more",
        TEXTS,
        implies=(
            "enable-metrics",
            "master",
        ),
    )
    metrics_dir: str | None = option(
        "keep metrics as files in this directory",
        TEXT,
        aliases=("metric-dir",),
        implies=(
            "enable-metrics",
            "master",
        ),
    )
    metrics_dir_restore: bool = option(
        "take first values from the files of metrics",
        FLAG,
        aliases=("metric-dir-restore",),
        implies=(
            "enable-metrics",
            "master",
        ),
    )
    metrics_no_cores: bool = option(
        "leave single cores out of the metrics",
        FLAG,
        implies=(
            "enable-metrics",
            "master",
        ),
    )
    py_sharedarea: tuple[str, ...] = option(
        "create a shared area of this many bytes as a bytearray", TEXTS
    )
    queue: int = option(
        "create a shared queue of this many slots", INT, at_least=0, when_true=100
    )
    queue_blocksize: int = option(
        "let a slot of the queue hold this many bytes", BYTES, default=8192, at_least=0
    )
    queue_server: str | None = option(
        "keep the queue on this Redis server, for many machines", TEXT
    )
    queue_store: str | None = option(
        "keep the queue in this file", TEXT, implies=("master",)
    )
    queue_store_sync: int = option(
        "write the queue file to disk every this many seconds", INT, at_least=0
    )
    services_for: tuple[str, ...] = option(
        "let this address or network use caches, remote calls and signals over uwsgi"
        " sockets; peers on this machine always may",
        TEXTS,
    )
    sharedarea: tuple[str, ...] = option(
        "create a shared area: pages=… or file=…,size=… or a number of pages",
        TEXTS,
        short="A",
    )
