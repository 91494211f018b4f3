"""uWSGI's statistics as its stats server writes them.

uwsgitop, exporters and agents read these keys, so they are all there, in uWSGI's order,
and there is nothing else.
"""

from __future__ import annotations

import json
from typing import Any

from geuwsgi.stats.model import CoreStats, InstanceStats, WorkerStats


def encode_stats(
    stats: InstanceStats,
    *,
    minified: bool = False,
    with_cores: bool = True,
    with_metrics: bool = True,
) -> bytes:
    """Return the JSON, tab-indented unless ``minified``."""
    tree = stats_tree(stats, with_cores=with_cores, with_metrics=with_metrics)
    indent = None if minified else "\t"
    return json.dumps(tree, indent=indent, separators=(",", ":")).encode()


def stats_tree(
    stats: InstanceStats, *, with_cores: bool = True, with_metrics: bool = True
) -> dict[str, Any]:
    """Return what the JSON holds."""
    sections = dict(stats.sections)
    if "caches" in sections:
        sections["caches"] = [
            {name: cache[name] for name in _CACHE_KEYS} for cache in sections["caches"]
        ]

    def present(*names: str) -> dict[str, Any]:
        return {name: sections[name] for name in names if name in sections}

    return {
        "version": stats.version,
        "listen_queue": stats.listen_queue,
        "listen_queue_errors": stats.listen_queue_errors,
        "signal_queue": stats.signal_queue,
        "load": stats.listen_queue,
        "pid": stats.pid,
        "uid": stats.uid,
        "gid": stats.gid,
        "cwd": stats.cwd,
        **present("daemons"),
        "locks": [dict(lock) for lock in stats.locks],
        **present("caches", *(("metrics",) if with_metrics else ())),
        "sockets": [
            {
                "name": socket.name,
                "proto": socket.proto,
                "queue": socket.queue,
                "max_queue": socket.max_queue,
                "shared": socket.shared,
                "can_offload": socket.can_offload,
            }
            for socket in stats.sockets
        ],
        "workers": [_worker(worker, with_cores) for worker in stats.workers],
        **present("spoolers", "crons", "legions"),
    }


_CACHE_KEYS = (
    "name",
    "hash",
    "hashsize",
    "keysize",
    "max_items",
    "blocks",
    "blocksize",
    "items",
    "hits",
    "miss",
    "full",
    "last_modified_at",
)


def _worker(worker: WorkerStats, with_cores: bool) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "id": worker.id,
        "pid": worker.pid,
        "accepting": worker.accepting,
        "requests": worker.requests,
        "delta_requests": worker.delta_requests,
        "exceptions": worker.exceptions,
        "harakiri_count": worker.harakiri_count,
        "signals": worker.signals,
        "signal_queue": worker.signal_queue,
        "status": worker.status,
        "rss": worker.rss,
        "vsz": worker.vsz,
        "running_time": worker.running_time,
        "last_spawn": worker.last_spawn,
        "respawn_count": worker.respawn_count,
        "tx": worker.tx,
        "avg_rt": worker.avg_rt,
        "apps": [
            {
                "id": app.id,
                "modifier1": 0,
                "mountpoint": app.mountpoint,
                "startup_time": app.startup_time,
                "requests": app.requests,
                "exceptions": app.exceptions,
                "chdir": app.chdir,
            }
            for app in worker.apps
        ],
    }
    if worker.latency_p99:
        tree["latency_p50"] = worker.latency_p50
        tree["latency_p99"] = worker.latency_p99
    if with_cores:
        tree["cores"] = [_core(core) for core in worker.cores]
    return tree


def _core(core: CoreStats) -> dict[str, Any]:
    busy = core.started > 0
    return {
        "id": core.id,
        "requests": core.requests,
        "static_requests": core.static_requests,
        "routed_requests": core.routed_requests,
        "offloaded_requests": core.offloaded_requests,
        "write_errors": core.write_errors,
        "read_errors": core.read_errors,
        "in_request": int(busy),
        # uWSGI ends the list of a busy core with an empty string.
        "vars": [*core.vars, ""] if busy else [],
        "req_info": {"request_start": core.started} if busy else {},
    }
