"""A generation's resources: configuration, listeners, scoreboard.

Opened before its template starts, closed when its last process has ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from geuwsgi.config import Configuration
from geuwsgi.master.events import Plan, Role
from geuwsgi.net.listeners import Listener, dropped
from geuwsgi.options import Settings
from geuwsgi.shared.scoreboard import Scoreboard


@dataclass(slots=True, eq=False)
class Prepared:
    """What the master holds for one generation.

    ``environ`` is what its processes get, ``regions`` the shared memory they map, by
    name. The descriptors belong to this object until :meth:`close`.
    """

    number: int
    configuration: Configuration
    listeners: list[Listener]
    scoreboard: Scoreboard
    plan: Plan
    environ: Mapping[str, str]
    regions: dict[str, int] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return self.configuration.settings

    def descriptors(self) -> list[int]:
        """What a template must inherit."""
        filenos = {listener.fileno() for listener in self.listeners}
        filenos.add(self.scoreboard.fileno)
        filenos.update(self.regions.values())
        return sorted(filenos)

    def close_listeners(self, kept: Sequence[Listener] = ()) -> None:
        """Close those of its listeners that are not on a socket of ``kept``."""
        for listener in dropped(self.listeners, kept):
            listener.close(vacuum=self.settings.process.vacuum)

    def close(self) -> None:
        """Free the shared memory; the listeners are closed apart."""
        self.scoreboard.close()
        for fileno in self.regions.values():
            os.close(fileno)
        self.regions = {}


# Reads the configuration anew as generation n; the listeners are those open now.
Prepare = Callable[[int, Sequence[Listener]], Prepared]


def cores_of(settings: Settings) -> int:
    """How many requests a worker serves at once."""
    workers = settings.workers
    return workers.gevent or workers.async_ or max(workers.threads, 1)


def plan_of(settings: Settings) -> Plan:
    """What the policy has to know of ``settings``."""
    members = {Role.WORKER: settings.workers.processes}
    reload = settings.reload
    return Plan(
        members=members,
        cores=cores_of(settings),
        lazy_apps=settings.workers.lazy_apps or settings.workers.lazy,
        need_app=bool(settings.python.need_app),
        respawn_delay_s=reload.forkbomb_delay,
        worker_mercy_s=reload.worker_reload_mercy,
        stop_mercy_s=reload.reload_mercy,
        exit_on_reload=reload.exit_on_reload,
        max_lifetime_s=reload.max_worker_lifetime,
        max_lifetime_delta_s=reload.max_worker_lifetime_delta,
    )


def environ_of(settings: Settings, base: Mapping[str, str]) -> dict[str, str]:
    """``base`` changed as the options ``env`` and ``unenv`` say."""
    environ = dict(base)
    for assignment in settings.process.env:
        name, _, value = assignment.partition("=")
        environ[name.strip()] = value
    for name in settings.process.unenv:
        environ.pop(name, None)
    return environ
