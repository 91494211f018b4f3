"""From the scoreboard, and what workers answer, to statistics.

The scoreboard can be read although a worker hangs; so it gives all that alerts are made
of. Applications and the requests in flight are the workers' to tell (`geuwsgi.stats.details`); without an answer they are left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from geuwsgi.net.backlog import waiting_connections
from geuwsgi.net.listener import Listener
from geuwsgi.shared import scoreboard as sb
from geuwsgi.shared.scoreboard import Scoreboard
from geuwsgi.stats.model import (
    AppStats,
    CoreStats,
    InstanceStats,
    SocketStats,
    WorkerStats,
)

_STATUS_NAMES: Mapping[int, str] = {
    sb.STATUS_IDLE: "idle",
    sb.STATUS_BUSY: "busy",
    sb.STATUS_CHEAP: "cheap",
    sb.STATUS_PAUSE: "pause",
}


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What does not change, or only at a reload.

    ``version`` is what clients compare with, so uWSGI's. ``cores`` are those of each
    worker.
    """

    version: str
    pid: int
    uid: int
    gid: int
    cwd: str
    workers: int
    cores: int
    started_on: int = 0
    generation: int = 0
    locks: Sequence[Mapping[str, int]] = field(default_factory=list)


def take_snapshot(
    facts: InstanceFacts,
    board: Scoreboard,
    listeners: Iterable[Listener],
    *,
    details: Mapping[int, Mapping[str, Any]] | None = None,
    sections: Mapping[str, Any] | None = None,
) -> InstanceStats:
    """Return the statistics of now.

    ``details`` are the answers of `worker_details` by worker id.
    """
    now_ms = time.monotonic_ns() // 1_000_000
    rows: dict[int, memoryview[int]] = {}
    for row in board.rows():
        known = rows.get(row[sb.WORKER_ID])
        # While one process replaces another, both have the id; the later one counts.
        if known is None or row[sb.LAST_SPAWN] >= known[sb.LAST_SPAWN]:
            rows[row[sb.WORKER_ID]] = row
    workers = []
    for worker_id in range(1, facts.workers + 1):
        worker = WorkerStats(worker_id, core_count=facts.cores)
        if worker_id in rows:
            _read_row(worker, rows[worker_id], now_ms)
        _add_details(worker, (details or {}).get(worker_id, {}), facts.cores)
        workers.append(worker)
    return InstanceStats(
        version=facts.version,
        pid=facts.pid,
        uid=facts.uid,
        gid=facts.gid,
        cwd=facts.cwd,
        sockets=[socket_stats(listener) for listener in listeners],
        workers=workers,
        locks=list(facts.locks),
        sections=sections or {},
        started_on=facts.started_on,
        generation=facts.generation,
    )


def _read_row(worker: WorkerStats, row: memoryview[int], now_ms: int) -> None:
    worker.pid = row[sb.PID]
    worker.accepting = row[sb.ACCEPTING]
    worker.delta_requests = row[sb.REQUESTS]
    worker.requests = row[sb.REQUESTS] + row[sb.KEPT_REQUESTS]
    worker.exceptions = row[sb.EXCEPTIONS]
    worker.harakiri_count = row[sb.HARAKIRI_COUNT]
    worker.signals = row[sb.SIGNALS]
    worker.rss = row[sb.RSS]
    worker.vsz = row[sb.VSZ]
    worker.running_time = row[sb.RUNNING_TIME_US]
    worker.last_spawn = row[sb.LAST_SPAWN]
    worker.respawn_count = row[sb.RESPAWN_COUNT]
    worker.tx = row[sb.TX_BYTES]
    worker.avg_rt = row[sb.AVG_RT_US]
    worker.cores_busy = row[sb.CORES_BUSY]
    worker.connections = row[sb.CONNECTIONS]
    worker.websockets = row[sb.WEBSOCKETS]
    worker.hub_busy_us = row[sb.HUB_BUSY_US]
    worker.latency_p50 = row[sb.LATENCY_P50_US]
    worker.latency_p99 = row[sb.LATENCY_P99_US]
    beat = row[sb.HEARTBEAT_MS]
    worker.silent_ms = max(now_ms - beat, 0) if beat else 0
    worker.status = _STATUS_NAMES.get(row[sb.STATUS], "idle")
    if worker.status == "idle" and worker.cores_busy:
        worker.status = "busy"


def _add_details(
    worker: WorkerStats, details: Mapping[str, Any], core_count: int
) -> None:
    worker.apps = [AppStats(**app) for app in details.get("apps", ())]
    worker.cores = [CoreStats(index) for index in range(core_count)]
    for core in details.get("cores", ()):
        index = core["id"]
        if 0 <= index < core_count:
            worker.cores[index] = CoreStats(**{**core, "vars": tuple(core["vars"])})


def socket_stats(listener: Listener) -> SocketStats:
    """Return the state of ``listener``."""
    queue, max_queue = waiting_connections(listener.socket)
    return SocketStats(
        name=listener.name,
        proto=listener.protocol,
        queue=queue,
        max_queue=max_queue,
        shared=int(listener.shared is not None),
    )
