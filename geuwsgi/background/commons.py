"""Everything the processes of an instance share, made once by the master.

The master calls ``Commons.create`` before the first template starts and, on a reload,
with the former one, whose memory is kept where the options did not change. A template
maps it with ``from_wire``; a forked process says who it is with ``enter``. No gevent
here: the master uses it too.

What few sites have is imported where the options ask for it: every start waits for
the imports of all the processes there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from geuwsgi.background.counts import mule_count, parse_farm, spooler_count
from geuwsgi.background.signals import SignalRouter
from geuwsgi.cache.caches import Caches
from geuwsgi.cache.log import Log, log_to_stderr
from geuwsgi.errors import ConfigError
from geuwsgi.shared.broadcast import Broadcast
from geuwsgi.shared.mailboxes import Mailboxes
from geuwsgi.shared.recordlocks import RecordLocks
from geuwsgi.shared.roster import Roster
from geuwsgi.shared.signaltable import SignalTable, TableFull, Timer

if TYPE_CHECKING:
    from geuwsgi.cache.spec import CacheSpec
    from geuwsgi.options import Settings
    from geuwsgi.shared.areas import SharedAreas
    from geuwsgi.shared.handovers import Handovers
    from geuwsgi.shared.metrics import Metrics
    from geuwsgi.shared.mutex import Wait
    from geuwsgi.shared.notebooks import Notebooks
    from geuwsgi.shared.queue import SharedQueue
    from geuwsgi.shared.snmp import SnmpNumbers


class Part(Protocol):
    """What every shared thing can do."""

    def descriptors(self) -> list[int]: ...

    def to_wire(self) -> Any: ...

    def close(self) -> None: ...


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
    signal_table: SignalTable | None = None
    mailboxes: Mailboxes | None = None
    roster: Roster | None = None
    metrics: Metrics | None = None
    snmp: SnmpNumbers | None = None
    broadcast: Broadcast | None = None
    #: What routers were told by those who subscribed.
    notebooks: Notebooks | None = None

    @cached_property
    def router(self) -> SignalRouter | None:
        """What raises signals; None without a table of them."""
        if self.signal_table is None or self.mailboxes is None:
            return None
        return SignalRouter(self.signal_table, self.mailboxes)

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
            caches=_caches(settings, old.caches, log),
            locks=_locks(settings, old.locks),
            queue=_queue(settings, old.queue),
            areas=_areas(settings, old.areas),
            sessions=Caches.create(
                _session_specs(settings), previous=old.sessions, log=log
            ),
            handovers=_handovers(settings),
            # A generation registers its own signals, but hears those of the former.
            signal_table=_signal_table(settings),
            mailboxes=_mailboxes(settings, old.mailboxes),
            roster=Roster.create(
                mules=mule_count(settings), spoolers=spooler_count(settings)
            ),
            metrics=_metrics(settings, old.metrics),
            snmp=_snmp(settings, old.snmp),
            broadcast=_broadcast(settings, old.broadcast),
            notebooks=_notebooks(settings, old.notebooks),
        )

    def _parts(self) -> dict[str, Part]:
        """All that there is beside the caches, by the name of its field."""
        parts: dict[str, Part | None] = {
            "locks": self.locks,
            "queue": self.queue,
            "areas": self.areas,
            "handovers": self.handovers,
            "signal_table": self.signal_table,
            "mailboxes": self.mailboxes,
            "roster": self.roster,
            "metrics": self.metrics,
            "snmp": self.snmp,
            "broadcast": self.broadcast,
            "notebooks": self.notebooks,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def descriptors(self) -> list[int]:
        """Return the descriptors that a template must inherit."""
        fds = self.caches.descriptors() + self.sessions.descriptors()
        for part in self._parts().values():
            fds += part.descriptors()
        return fds

    def to_wire(self) -> dict[str, Any]:
        """Return JSON-able data for ``from_wire``."""
        parts = {name: part.to_wire() for name, part in self._parts().items()}
        return {
            "caches": self.caches.to_wire(),
            "sessions": self.sessions.to_wire(),
            **parts,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any], *, log: Log = log_to_stderr) -> Commons:
        """Map everything in a process that inherited the descriptors."""
        parts = {
            name: _find_kind(place).from_wire(wire[name])
            for name, place in _PLACES.items()
            if name in wire
        }
        return cls(
            caches=Caches.from_wire(wire["caches"], log=log),
            sessions=Caches.from_wire(wire["sessions"], log=log),
            **parts,
        )

    def enter(
        self,
        *,
        role: str,
        number: int,
        slot: int,
        wait: Wait,
        breathe: Callable[[], object] | None = None,
    ) -> None:
        """Be used by one forked process from now on.

        ``role`` is "worker", "mule" or "spooler" and ``number`` its number among them;
        ``slot`` is that of the scoreboard, which no two living processes share.
        ``wait`` is how to wait for a lock without stopping the hub, ``breathe`` how to
        give it a turn during what takes long.
        """
        self.caches.enter_process(stripe=slot, wait=wait, breathe=breathe)
        self.sessions.enter_process(stripe=slot, wait=wait)
        for part in (
            self.queue,
            self.areas,
            self.signal_table,
            self.metrics,
            self.snmp,
            self.broadcast,
        ):
            if part is not None:
                part.enter_process(wait)
        if self.roster is not None and role == "mule":
            self.roster.set_mule_pid(number, os.getpid())
        if self.roster is not None and role == "spooler":
            self.roster.set_spooler_pid(number, os.getpid())

    def release(self, successor: Commons) -> None:
        """Free what ``successor`` did not take over; nobody uses it any more."""
        self.caches.release(successor.caches)
        self.sessions.release(successor.sessions)
        theirs = successor._parts()
        for name, part in self._parts().items():
            if isinstance(part, Mailboxes):
                part.release(successor.mailboxes)
            elif part is not theirs.get(name):
                part.close()

    def close(self) -> None:
        """End of the instance."""
        self.release(Commons())


#: The kinds of the parts, by their fields: module and class.
_PLACES: Mapping[str, str] = {
    "locks": "recordlocks.RecordLocks",
    "queue": "queue.SharedQueue",
    "areas": "areas.SharedAreas",
    "handovers": "handovers.Handovers",
    "signal_table": "signaltable.SignalTable",
    "mailboxes": "mailboxes.Mailboxes",
    "roster": "roster.Roster",
    "metrics": "metrics.Metrics",
    "snmp": "snmp.SnmpNumbers",
    "broadcast": "broadcast.Broadcast",
    "notebooks": "notebooks.Notebooks",
}


def _find_kind(place: str) -> Any:
    module, _, name = place.partition(".")
    return getattr(import_module(f"geuwsgi.shared.{module}"), name)


def _caches(settings: Settings, old: Caches, log: Log) -> Caches:
    if not settings.cache.changed():
        return Caches(())
    from geuwsgi.cache.preload import preload
    from geuwsgi.cache.spec import cache_specs

    caches = Caches.create(cache_specs(settings.cache), previous=old, log=log)
    preload(caches, settings.cache, log)
    return caches


def _session_specs(settings: Settings) -> list[CacheSpec]:
    if not settings.workers.sticky or settings.workers.processes < 2:
        return []
    from geuwsgi.cache.spec import CacheSpec

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
    from geuwsgi.shared.handovers import Handovers

    return Handovers.create(workers.processes)


def _locks(settings: Settings, old: RecordLocks | None) -> RecordLocks:
    count = settings.shared.locks + 1
    if old is not None and old.count == count:
        return old
    return RecordLocks.create("locks", count)


def _queue(settings: Settings, old: SharedQueue | None) -> SharedQueue | None:
    shared = settings.shared
    if not shared.queue or shared.queue_server:
        return None
    if old is not None and (old.size, old.blocksize, old.region.name) == (
        shared.queue,
        shared.queue_blocksize,
        shared.queue_store or "queue",
    ):
        return old
    from geuwsgi.shared.queue import SharedQueue

    return SharedQueue.create(
        shared.queue, shared.queue_blocksize, shared.queue_store or ""
    )


def _areas(settings: Settings, old: SharedAreas | None) -> SharedAreas | None:
    shared = settings.shared
    if not shared.sharedarea and not shared.py_sharedarea:
        return None
    if old is not None and old.lines == (shared.sharedarea, shared.py_sharedarea):
        return old
    from geuwsgi.shared.areas import SharedAreas

    return SharedAreas.create(shared.sharedarea, shared.py_sharedarea)


def _notebooks(settings: Settings, old: Notebooks | None) -> Notebooks | None:
    http, routers = settings.http, settings.routers
    servers = {
        "http": http.http_subscription_server,
        "fastrouter": routers.fastrouter_subscription_server,
        "rawrouter": routers.rawrouter_subscription_server,
        "sslrouter": routers.sslrouter_subscription_server,
    }
    names = [name for name, addresses in servers.items() if addresses]
    if not names or (old is not None and old.names == names):
        return old if names else None
    from geuwsgi.shared.notebooks import Notebooks, copy_note

    made = Notebooks.create(names)
    if old is not None:
        for name in names:
            copy_note(old, made, name)
    return made


def _signal_table(settings: Settings) -> SignalTable:
    table = SignalTable.create()
    for name, lines in (
        ("timer", settings.signals.timer),
        ("rbtimer", settings.signals.rbtimer),
    ):
        for line in lines:
            parts = line.split()
            if len(parts) != 2 or not all(part.isdecimal() for part in parts):
                raise ConfigError(f"{name}: {line!r} is not: signal seconds")
            signal, seconds = int(parts[0]), int(parts[1])
            if signal > 255 or not seconds:
                raise ConfigError(f"{name}: {line!r}: signals end with 255")
            timer = Timer(signal, 1000 * seconds)
            try:
                table.add_timer(timer, rb=name == "rbtimer")
            except TableFull as exc:
                raise ConfigError(f"{name}: {line!r}: {exc}") from exc
    return table


def _mailboxes(settings: Settings, old: Mailboxes | None) -> Mailboxes:
    mules = mule_count(settings)
    return Mailboxes.create(
        workers=settings.workers.processes,
        mules=mules,
        farms=[parse_farm(text, mules) for text in settings.mules.farm],
        spoolers=bool(settings.spooler.spooler),
        message_buffer=_message_buffer(settings),
        previous=old,
    )


def _message_buffer(settings: Settings) -> int:
    # 65536 is the option's default, and what is read at once; the socket's own buffer
    # is larger.
    size = settings.mules.mule_msg_size
    return size if size > 65536 else 0


def _metrics(settings: Settings, old: Metrics | None) -> Metrics | None:
    shared = settings.shared
    if not shared.enable_metrics:
        return None
    from geuwsgi.background.collecting import MetricFiles
    from geuwsgi.shared.metrics import Metrics

    made = Metrics.create(shared.metric)
    if old is not None and old.specs == made.specs:
        made.close()
        return old
    for spec in made.specs:
        if old is not None and spec.name in old:
            made.set(spec.name, old.get(spec.name) or 0)
        elif shared.metrics_dir and shared.metrics_dir_restore:
            value = MetricFiles(shared.metrics_dir).restore(spec.name)
            if value is not None:
                made.set(spec.name, value)
    return made


def _snmp(settings: Settings, old: SnmpNumbers | None) -> SnmpNumbers | None:
    if settings.stats.snmp is None:
        return None
    from geuwsgi.shared.snmp import SnmpNumbers

    numbers = old or SnmpNumbers.create()
    community = settings.stats.snmp_community
    if community:
        try:
            numbers.set_community(community.encode())
        except ValueError as exc:
            raise ConfigError(f"snmp-community: {exc}") from exc
    return numbers


def _broadcast(settings: Settings, old: Broadcast | None) -> Broadcast:
    # During a reload two generations want to hear.
    count = 2 * (settings.workers.processes + mule_count(settings)) + 4
    if old is not None and len(old.boxes) >= count:
        return old
    return Broadcast.create(count)
