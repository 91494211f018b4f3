"""Everything the processes of an instance share, made once by the master.

The master calls ``Commons.create`` before the first template starts and, on a reload,
with the former one, whose memory is kept where the options did not change. A template
maps it with ``from_wire``; a forked process says who it is with ``enter``. No gevent
here: the master uses it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geuwsgi.cache.cache import Log, log_to_stderr
from geuwsgi.cache.caches import Caches
from geuwsgi.cache.spec import CacheSpec, cache_specs
from geuwsgi.shared.areas import SharedAreas
from geuwsgi.shared.handovers import Handovers
from geuwsgi.shared.queue import SharedQueue
from geuwsgi.shared.recordlocks import RecordLocks

if TYPE_CHECKING:
    from geuwsgi.options import Settings
    from geuwsgi.shared.mutex import Wait


@dataclass(eq=False)
class Commons:
    """The shared things, by kind; None where the options ask for none."""

    caches: Caches = field(default_factory=lambda: Caches(()))
    locks: RecordLocks | None = None
    queue: SharedQueue | None = None
    areas: SharedAreas | None = None
    #: For sticky sessions: which worker has which, and the way there. The boxes are a
    #: generation's own, or a worker that drains would read what is for its successor.
    sessions: Caches = field(default_factory=lambda: Caches(()))
    handovers: Handovers | None = None

    @classmethod
    def create(
        cls,
        settings: Settings,
        *,
        previous: Commons | None = None,
        log: Log = log_to_stderr,
    ) -> Commons:
        """Make what ``settings`` ask for. Raises ConfigError or StartupError."""
        old = previous or cls()
        return cls(
            caches=Caches.create(
                cache_specs(settings.cache), previous=old.caches, log=log
            ),
            locks=_locks(settings, old.locks),
            queue=_queue(settings, old.queue),
            areas=_areas(settings, old.areas),
            sessions=Caches.create(
                _session_specs(settings), previous=old.sessions, log=log
            ),
            handovers=_handovers(settings),
        )

    def descriptors(self) -> list[int]:
        """Return the descriptors that a template must inherit."""
        fds = self.caches.descriptors() + self.sessions.descriptors()
        if self.handovers is not None:
            fds += self.handovers.descriptors()
        if self.locks is not None:
            fds += self.locks.descriptors()
        if self.queue is not None:
            fds.append(self.queue.region.fd)
        if self.areas is not None:
            fds += self.areas.descriptors()
        return fds

    def to_wire(self) -> dict[str, Any]:
        """Return JSON-able data for ``from_wire``."""
        return {
            "caches": self.caches.to_wire(),
            "locks": self.locks.to_wire() if self.locks else None,
            "queue": self.queue.to_wire() if self.queue else None,
            "areas": self.areas.to_wire() if self.areas else None,
            "sessions": self.sessions.to_wire(),
            "handovers": self.handovers.to_wire() if self.handovers else None,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any], *, log: Log = log_to_stderr) -> Commons:
        """Map everything in a process that inherited the descriptors."""
        locks, queue, areas = wire["locks"], wire["queue"], wire["areas"]
        handovers = wire["handovers"]
        return cls(
            caches=Caches.from_wire(wire["caches"], log=log),
            locks=RecordLocks.from_wire(locks) if locks else None,
            queue=SharedQueue.from_wire(queue) if queue else None,
            areas=SharedAreas.from_wire(areas) if areas else None,
            sessions=Caches.from_wire(wire["sessions"], log=log),
            handovers=Handovers.from_wire(handovers) if handovers else None,
        )

    def enter(self, *, role: str, number: int, slot: int, wait: Wait) -> None:
        """Be used by one forked process from now on.

        ``role`` is "worker", "mule" or "spooler" and ``number`` its number among them;
        ``slot`` is that of the scoreboard, which no two living processes share.
        ``wait`` is how to wait for a lock without stopping the hub.
        """
        self.caches.enter_process(stripe=slot, wait=wait)
        self.sessions.enter_process(stripe=slot, wait=wait)
        if self.queue is not None:
            self.queue.enter_process(wait)
        if self.areas is not None:
            self.areas.enter_process(wait)

    def release(self, successor: Commons) -> None:
        """Free what ``successor`` did not take over; nobody uses it any more."""
        self.caches.release(successor.caches)
        self.sessions.release(successor.sessions)
        if self.handovers is not None:
            self.handovers.close()
        for mine, theirs in (
            (self.locks, successor.locks),
            (self.queue, successor.queue),
            (self.areas, successor.areas),
        ):
            if mine is not None and mine is not theirs:
                mine.close()

    def close(self) -> None:
        """End of the instance."""
        self.release(Commons())


def _session_specs(settings: Settings) -> list[CacheSpec]:
    if not settings.workers.sticky or settings.workers.processes < 2:
        return []
    # The least recently used make room: a session that comes back is learned anew.
    return [
        CacheSpec(
            name="sessions", items=131072, blocksize=16, keysize=128, purge_lru=True
        )
    ]


def _handovers(settings: Settings) -> Handovers | None:
    workers = settings.workers
    if not workers.sticky or workers.processes < 2:
        return None
    return Handovers.create(workers.processes)


def _locks(settings: Settings, old: RecordLocks | None) -> RecordLocks:
    count = settings.shared.locks + 1
    if old is not None and old.count == count:
        return old
    return RecordLocks.create("locks", count)


def _queue(settings: Settings, old: SharedQueue | None) -> SharedQueue | None:
    shared = settings.shared
    if not shared.queue:
        return None
    if old is not None and (old.size, old.blocksize, old.region.name) == (
        shared.queue,
        shared.queue_blocksize,
        shared.queue_store or "queue",
    ):
        return old
    return SharedQueue.create(
        shared.queue, shared.queue_blocksize, shared.queue_store or ""
    )


def _areas(settings: Settings, old: SharedAreas | None) -> SharedAreas | None:
    shared = settings.shared
    if not shared.sharedarea and not shared.py_sharedarea:
        return None
    if old is not None and old.lines == (shared.sharedarea, shared.py_sharedarea):
        return old
    return SharedAreas.create(shared.sharedarea, shared.py_sharedarea)
