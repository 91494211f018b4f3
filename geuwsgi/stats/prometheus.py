"""The same numbers as text for Prometheus (exposition format 0.0.4).

Names and labels are those of uwsgi_exporter, whose dashboards and alerts people have;
what it does not know begins with ``geuwsgi_``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from geuwsgi.stats.model import AppStats, CoreStats, InstanceStats, WorkerStats

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_MICROS = 1_000_000
_STATUSES = ("busy", "idle", "cheap")

Labels = tuple[tuple[str, object], ...]
Sample = tuple[Labels, float]


def encode_metrics(stats: InstanceStats, *, with_cores: bool = False) -> bytes:
    """Return the exposition. Cores are many, so they are left out unless asked for."""
    families = [
        *_of_instance(stats),
        *_of_sockets(stats),
        *_of_workers(stats.workers),
        *_of_apps(stats.workers),
        *_of_caches(stats),
    ]
    if with_cores:
        families += _of_cores(stats.workers)
    return "".join(families).encode()


def _family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {text}\n# TYPE {name} {kind}\n"]
    for labels, value in samples:
        inner = ",".join(f'{key}="{_escape(str(word))}"' for key, word in labels)
        lines.append(
            f"{name}{{{inner}}} {value:.16g}\n" if inner else f"{name} {value:.16g}\n"
        )
    return "".join(lines) if len(lines) > 1 else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _of_instance(stats: InstanceStats) -> Iterator[str]:
    def one(name: str, text: str, value: float) -> str:
        return _family(name, "gauge", text, [((), value)])

    yield one("uwsgi_up", "Whether the server is up.", 1)
    yield one(
        "uwsgi_listen_queue_length",
        "Connections that wait to be accepted.",
        stats.listen_queue,
    )
    yield one(
        "uwsgi_listen_queue_errors",
        "Connections refused because a queue was full.",
        stats.listen_queue_errors,
    )
    yield one(
        "uwsgi_signal_queue_length",
        "Signals that wait to be handled.",
        stats.signal_queue,
    )
    yield one("uwsgi_workers", "Number of workers.", len(stats.workers))
    yield one("geuwsgi_start_time_seconds", "Unix time of the start.", stats.started_on)
    yield one(
        "geuwsgi_generation", "Number of the loaded generation.", stats.generation
    )


def _of_sockets(stats: InstanceStats) -> Iterator[str]:
    # One name may stand for several sockets (reuse-port); the first one counts.
    sockets = {(one.name, one.proto): one for one in reversed(stats.sockets)}
    for name, text in (
        ("queue_length", "Connections that wait to be accepted."),
        ("max_queue_length", "Size of the queue."),
        ("shared", "Whether the socket is a shared one."),
        ("can_offload", "Whether the socket can offload."),
    ):
        field = {"queue_length": "queue", "max_queue_length": "max_queue"}.get(
            name, name
        )
        yield _family(
            f"uwsgi_socket_{name}",
            "gauge",
            text,
            [
                ((("name", key[0]), ("proto", key[1])), getattr(one, field))
                for key, one in sockets.items()
            ],
        )


_WORKER_FIELDS: tuple[tuple[str, str, str, str, float], ...] = (
    # name, kind, field of WorkerStats, help, divisor
    ("uwsgi_worker_accepting", "gauge", "accepting", "Whether it accepts.", 1),
    (
        "uwsgi_worker_delta_requests",
        "gauge",
        "delta_requests",
        "Requests of the process.",
        1,
    ),
    (
        "uwsgi_worker_signal_queue_length",
        "gauge",
        "signal_queue",
        "Signals that wait.",
        1,
    ),
    ("uwsgi_worker_rss_bytes", "gauge", "rss", "Resident memory.", 1),
    ("uwsgi_worker_vsz_bytes", "gauge", "vsz", "Address space.", 1),
    (
        "uwsgi_worker_running_time_seconds",
        "gauge",
        "running_time",
        "Time spent in requests.",
        _MICROS,
    ),
    (
        "uwsgi_worker_last_spawn_time_seconds",
        "gauge",
        "last_spawn",
        "Unix time of the last fork.",
        1,
    ),
    (
        "uwsgi_worker_average_response_time_seconds",
        "gauge",
        "avg_rt",
        "Average time of a request.",
        _MICROS,
    ),
    ("uwsgi_worker_requests_total", "counter", "requests", "Requests.", 1),
    (
        "uwsgi_worker_exceptions_total",
        "counter",
        "exceptions",
        "Exceptions of the application.",
        1,
    ),
    (
        "uwsgi_worker_harakiri_count_total",
        "counter",
        "harakiri_count",
        "Requests ended by harakiri.",
        1,
    ),
    ("uwsgi_worker_signals_total", "counter", "signals", "Signals handled.", 1),
    ("uwsgi_worker_respawn_count_total", "counter", "respawn_count", "Forks.", 1),
    ("uwsgi_worker_transmitted_bytes_total", "counter", "tx", "Bytes sent.", 1),
    ("uwsgi_worker_cores", "gauge", "core_count", "Number of cores.", 1),
    ("geuwsgi_worker_cores_busy", "gauge", "cores_busy", "Requests in flight.", 1),
    ("geuwsgi_worker_connections", "gauge", "connections", "Open connections.", 1),
    (
        "geuwsgi_worker_websockets",
        "gauge",
        "websockets",
        "Open upgraded connections.",
        1,
    ),
    (
        "geuwsgi_worker_latency_p50_seconds",
        "gauge",
        "latency_p50",
        "What half of the last minute's requests took at most; 0 if not measured.",
        _MICROS,
    ),
    (
        "geuwsgi_worker_latency_p99_seconds",
        "gauge",
        "latency_p99",
        "What 99 % of the last minute's requests took at most; 0 if not measured.",
        _MICROS,
    ),
    (
        "geuwsgi_worker_hub_busy_seconds_total",
        "counter",
        "hub_busy_us",
        "Time the hub did not wait.",
        _MICROS,
    ),
    (
        "geuwsgi_worker_silent_seconds",
        "gauge",
        "silent_ms",
        "Time since the hub's last sign of life.",
        1000,
    ),
)


def _of_workers(workers: list[WorkerStats]) -> Iterator[str]:
    for name, kind, field, text, divisor in _WORKER_FIELDS:
        yield _family(
            name,
            kind,
            text,
            [
                ((("worker_id", worker.id),), getattr(worker, field) / divisor)
                for worker in workers
            ],
        )
    for status in _STATUSES:
        yield _family(
            f"uwsgi_worker_{status}",
            "gauge",
            f"Whether the worker is {status}.",
            [
                ((("worker_id", worker.id),), worker.status == status)
                for worker in workers
            ],
        )
    yield _family(
        "uwsgi_worker_apps",
        "gauge",
        "Number of applications.",
        [((("worker_id", worker.id),), len(worker.apps)) for worker in workers],
    )


def _of_apps(workers: list[WorkerStats]) -> Iterator[str]:
    def labels(worker: WorkerStats, app: AppStats) -> Labels:
        return (
            ("worker_id", worker.id),
            ("app_id", app.id),
            ("mountpoint", app.mountpoint),
            ("chdir", app.chdir),
        )

    for name, kind, field, text in (
        ("startup_time_seconds", "gauge", "startup_time", "Time the start took."),
        ("requests_total", "counter", "requests", "Requests."),
        ("exceptions_total", "counter", "exceptions", "Exceptions."),
    ):
        yield _family(
            f"uwsgi_worker_app_{name}",
            kind,
            text,
            [
                (labels(worker, app), getattr(app, field))
                for worker in workers
                for app in worker.apps
            ],
        )


def _of_cores(workers: list[WorkerStats]) -> Iterator[str]:
    def samples(field: str) -> list[Sample]:
        return [
            ((("worker_id", worker.id), ("core_id", core.id)), _core_value(core, field))
            for worker in workers
            for core in worker.cores
        ]

    yield _family("uwsgi_worker_core_busy", "gauge", "Whether it is busy.", samples(""))
    for field in (
        "requests",
        "static_requests",
        "routed_requests",
        "offloaded_requests",
        "write_errors",
        "read_errors",
    ):
        text = f"{field.replace('_', ' ').capitalize()} of the core."
        yield _family(
            f"uwsgi_worker_core_{field}_total", "counter", text, samples(field)
        )


def _core_value(core: CoreStats, field: str) -> float:
    return float(getattr(core, field)) if field else float(core.started > 0)


def _of_caches(stats: InstanceStats) -> Iterator[str]:
    caches = stats.sections.get("caches", [])
    for name, kind, key, text in (
        ("uwsgi_cache_hits", "counter", "hits", "Items found."),
        ("uwsgi_cache_misses", "counter", "miss", "Items not found."),
        ("uwsgi_cache_full", "counter", "full", "Times the cache was full."),
        ("uwsgi_cache_items", "gauge", "items", "Items in the cache."),
        ("uwsgi_cache_max_items", "gauge", "max_items", "Room of the cache."),
        ("geuwsgi_cache_evicted_total", "counter", "evicted", "Items pushed out."),
        ("geuwsgi_cache_expired_total", "counter", "expired", "Items expired."),
    ):
        yield _family(
            name,
            kind,
            text,
            [
                ((("name", cache["name"]),), cache[key])
                for cache in caches
                if key in cache
            ],
        )
