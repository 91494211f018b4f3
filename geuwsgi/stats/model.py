"""What an instance tells about itself at one moment.

Plain values, in the units of uWSGI's statistics (microseconds, bytes, unix seconds);
how they were found out and how they are written are matters of other modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class CoreStats:
    """One core. ``started`` is 0 when no request is on it."""

    id: int
    requests: int = 0
    static_requests: int = 0
    routed_requests: int = 0
    offloaded_requests: int = 0
    write_errors: int = 0
    read_errors: int = 0
    vars: tuple[str, ...] = ()
    started: int = 0


@dataclass(slots=True)
class AppStats:
    """One application of one worker."""

    id: int
    mountpoint: str = ""
    startup_time: int = 0
    requests: int = 0
    exceptions: int = 0
    chdir: str = ""


@dataclass(slots=True)
class WorkerStats:
    """One worker id and the process that serves as it; ``pid`` 0 if there is none.

    What uWSGI does not tell is at the end.
    """

    id: int
    pid: int = 0
    accepting: int = 0
    requests: int = 0
    delta_requests: int = 0
    exceptions: int = 0
    harakiri_count: int = 0
    signals: int = 0
    signal_queue: int = 0
    status: str = "cheap"
    rss: int = 0
    vsz: int = 0
    running_time: int = 0
    last_spawn: int = 0
    respawn_count: int = 0
    tx: int = 0
    avg_rt: int = 0
    apps: list[AppStats] = field(default_factory=list)
    cores: list[CoreStats] = field(default_factory=list)
    core_count: int = 0
    cores_busy: int = 0
    connections: int = 0
    websockets: int = 0
    hub_busy_us: int = 0
    silent_ms: int = 0
    latency_p50: int = 0
    latency_p99: int = 0


@dataclass(slots=True)
class SocketStats:
    """One listener. ``queue`` are connections that wait to be accepted."""

    name: str
    proto: str
    queue: int = 0
    max_queue: int = 0
    shared: int = 0
    can_offload: int = 0


@dataclass(slots=True)
class InstanceStats:
    """The whole.

    ``sections`` are lists and tables that other parts contribute, under uWSGI's names:
    ``daemons``, ``caches``, ``metrics``, ``spoolers``, ``crons``, ``legions``.
    """

    version: str
    pid: int
    uid: int
    gid: int
    cwd: str
    sockets: list[SocketStats] = field(default_factory=list)
    workers: list[WorkerStats] = field(default_factory=list)
    locks: list[Mapping[str, int]] = field(default_factory=list)
    sections: Mapping[str, Any] = field(default_factory=dict)
    listen_queue_errors: int = 0
    signal_queue: int = 0
    started_on: int = 0
    generation: int = 0

    @property
    def listen_queue(self) -> int:
        """Connections that wait to be accepted, on all sockets."""
        return sum(socket.queue for socket in self.sockets)
