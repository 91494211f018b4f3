"""What the policy has to know of a configuration: how many processes, how patient.

Pure, and small: a lone worker's process reads it, too, and then nothing more of the
master.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geuwsgi.background.counts import mule_count, spooler_count
from geuwsgi.routers.plan import router_places

if TYPE_CHECKING:
    from geuwsgi.options import Settings, Workers

#: Seconds in which routers hear that an instance goes.
FAREWELL_S = 0.5


class Role(enum.Enum):
    """What a member does."""

    WORKER = "worker"
    MULE = "mule"
    SPOOLER = "spooler"
    ROUTER = "router"
    SERVICE = "service"


@dataclass(frozen=True)
class Plan:
    """What the policy has to know of one generation's settings.

    ``members`` says how many processes of each role are wanted. Times are seconds.
    """

    members: Mapping[Role, int] = field(default_factory=lambda: {Role.WORKER: 1})
    cores: int = 1
    lazy_apps: bool = False
    need_app: bool = False
    respawn_delay_s: float = 2.0
    worker_mercy_s: float = 60.0
    mule_mercy_s: float = 60.0
    stop_mercy_s: float = 60.0
    exit_on_reload: bool = False
    die_on_no_workers: bool = False
    drain_delay_s: float = 0.0
    max_lifetime_s: float = 0.0
    max_lifetime_delta_s: float = 0.0
    first_workers: int | None = None  # None: all of them
    slots: int = 0  # capacity of the scoreboard; 0: default_slots()

    def default_slots(self) -> int:
        """Room for every member, its successor, and some that drain for long."""
        return 3 * sum(self.members.values()) + 4

    def mercy_s(self, role: Role) -> float:
        return self.mule_mercy_s if role is Role.MULE else self.worker_mercy_s


def plan_of(settings: Settings) -> Plan:
    """What the policy has to know of ``settings``."""
    reload = settings.reload
    return Plan(
        members={
            Role.WORKER: settings.workers.processes,
            Role.MULE: mule_count(settings),
            Role.SPOOLER: spooler_count(settings),
            Role.ROUTER: len(router_places(settings)),
        },
        cores=cores_of(settings),
        first_workers=first_workers(settings.workers),
        lazy_apps=settings.workers.lazy_apps or settings.workers.lazy,
        need_app=bool(settings.python.need_app),
        respawn_delay_s=reload.forkbomb_delay,
        worker_mercy_s=reload.worker_reload_mercy,
        mule_mercy_s=settings.mules.mule_reload_mercy,
        stop_mercy_s=reload.reload_mercy,
        exit_on_reload=reload.exit_on_reload,
        die_on_no_workers=settings.workers.die_on_no_workers,
        drain_delay_s=reload.drain_delay or _farewell_s(settings),
        max_lifetime_s=reload.max_worker_lifetime,
        max_lifetime_delta_s=reload.max_worker_lifetime_delta,
    )


def first_workers(workers: Workers) -> int:
    """How many workers a generation starts with."""
    if workers.cheap:
        return 0
    if not workers.cheaper:
        return workers.processes
    wanted = workers.cheaper_initial or workers.cheaper
    return max(workers.cheaper, min(wanted, workers.processes))


def cores_of(settings: Settings) -> int:
    """How many requests a worker serves at once."""
    workers = settings.workers
    return workers.gevent or workers.async_ or max(workers.threads, 1)


def has_application(settings: Settings) -> bool:
    """Whether there is anything for workers to do besides serving sockets."""
    python = settings.python
    return bool(
        python.module
        or python.wsgi_file
        or python.mount
        or python.eval_
        or settings.mules.changed()
        or settings.spooler.changed()
    )


def _farewell_s(settings: Settings) -> float:
    """How long an instance that takes its announcements back goes on.

    What routers send until they have heard it would wait in a socket that closes.
    """
    subscription = settings.subscription
    return FAREWELL_S if subscription.subscribe_to or subscription.subscribe2 else 0.0
