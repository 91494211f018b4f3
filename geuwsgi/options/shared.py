"""Memory shared between processes: queue, locks, areas, metrics."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, TEXT, TEXTS


class Shared(Section):
    """Memory shared between processes: queue, locks, areas, metrics."""

    metric_alarm: tuple[str, ...] = option(
        "raise an alarm when a metric crosses a limit (keyval)",
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
    enable_metrics: bool = option("collect internal metrics", FLAG, implies=("master",))
    locks: int = option(
        "number of extra user locks (uwsgi.lock(n))", INT, at_least=0, when_true=1
    )
    metric: tuple[str, ...] = option(
        "define a custom metric (name or keyval)",
        TEXTS,
        implies=(
            "enable-metrics",
            "master",
        ),
    )
    metrics_dir: str | None = option(
        "directory of memory-mapped metric text files",
        TEXT,
        aliases=("metric-dir",),
        implies=(
            "enable-metrics",
            "master",
        ),
    )
    metrics_dir_restore: bool = option(
        "read initial values from that directory",
        FLAG,
        aliases=("metric-dir-restore",),
        implies=(
            "enable-metrics",
            "master",
        ),
    )
    metrics_no_cores: bool = option(
        "no per-core metrics",
        FLAG,
        implies=(
            "enable-metrics",
            "master",
        ),
    )
    py_sharedarea: tuple[str, ...] = option(
        "shared area backed by a bytearray of N bytes", TEXTS
    )
    queue: int = option(
        "shared ring queue with N slots", INT, at_least=0, when_true=100
    )
    queue_blocksize: int = option(
        "slot size in bytes (default 8192)", BYTES, default=8192, at_least=0
    )
    queue_store: str | None = option(
        "memory-mapped file that persists the queue", TEXT, implies=("master",)
    )
    queue_store_sync: int = option("msync period", INT, at_least=0)
    sharedarea: tuple[str, ...] = option(
        "create shared memory area: page count or keyval pages,file,fd,ptr,size,offset",
        TEXTS,
        short="A",
    )
