"""The duty of telling how the instance does: the stats server.

The scoreboard gives most of it at once. Workers are asked for the rest, their
applications and the requests in flight; who does not answer in a moment, because it
hangs, is told of without.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from geuwsgi.background.sections import statistics_sections
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.plan import cores_of
from geuwsgi.master.prepared import Prepared
from geuwsgi.net.listeners import Listener, SocketOptions, Spec, open_listeners
from geuwsgi.stats.model import InstanceStats
from geuwsgi.stats.server import Deliver, StatsOptions, StatsServer
from geuwsgi.stats.snapshot import InstanceFacts, take_snapshot

# Kinds of selectors that can be watched themselves.
if sys.platform == "linux":
    from selectors import EpollSelector as _Selector
else:
    from selectors import KqueueSelector as _Selector

#: What clients compare with: the version of uWSGI whose JSON this is.
COMPATIBLE_VERSION = "2.0.31"


class StatisticsDuty(Duty):
    """Serves the address of the option ``stats``.

    The server has a selector of its own, which the desk watches as one
    descriptor.
    """

    def __init__(
        self,
        prepared: Prepared,
        address: str,
        *,
        started_on: int,
        log: Callable[[str], None],
    ) -> None:
        self._prepared = prepared
        self._address = address
        self._started_on = started_on
        self._log = log
        stats = prepared.settings.stats
        self._options = StatsOptions(
            http=stats.stats_http,
            minified=stats.stats_minified,
            no_cores=stats.stats_no_cores,
            no_metrics=stats.stats_no_metrics,
        )
        self.key = ("stats", address, self._options)
        self._desk: Desk | None = None
        self._listener: Listener | None = None
        self._selector: _Selector | None = None
        self._server: StatsServer | None = None

    def begin(self, desk: Desk) -> None:
        """Raises StartupError or ConfigErrors if the address cannot be listened on."""
        options = SocketOptions(
            # As uWSGI: who opens the sockets to others opens this one, too.
            mode=self._prepared.settings.sockets.chmod_socket,
            private=True,
        )
        (self._listener,) = open_listeners([Spec("stats", self._address)], options)
        self._desk = desk
        self._selector = _Selector()
        self._server = StatsServer(
            self._listener, self._selector, self._ask, self._options
        )
        desk.watch(self._selector.fileno(), self._turn)
        self._log(
            f"*** Stats server enabled on {self._listener.name}"
            f" fd: {self._listener.fileno()} ***"
        )

    def follow(self, successor: Duty) -> None:
        """Visitors who are there now are told of the new generation."""
        assert isinstance(successor, StatisticsDuty)
        self._prepared = successor._prepared

    def next_deadline(self) -> float:
        """When somebody has waited long enough."""
        return math.inf if self._server is None else self._server.next_deadline()

    def tick(self, now: float) -> None:
        if self._server is not None:
            self._server.tick()

    def end(self) -> None:
        if self._server is None or self._selector is None or self._listener is None:
            return
        assert self._desk is not None
        self._desk.unwatch(self._selector.fileno())
        self._server.close()
        self._server = None
        self._selector.close()
        self._listener.close(vacuum=True)

    def _turn(self) -> None:
        if self._selector is not None:
            for key, mask in self._selector.select(0):
                key.data(mask)

    def _ask(self, deliver: Deliver) -> None:
        assert self._desk is not None
        self._desk.inquire("stats", lambda details: self._tell(deliver, details))

    def _tell(self, deliver: Deliver, details: Mapping[int, Mapping[str, Any]]) -> None:
        assert self._desk is not None
        deliver(
            snapshot_of(
                self._prepared,
                started_on=self._started_on,
                sections=self._desk.sections(),
                details=details,
            )
        )


def snapshot_of(
    prepared: Prepared,
    *,
    started_on: int,
    sections: Mapping[str, Any],
    details: Mapping[int, Mapping[str, Any]] | None = None,
) -> InstanceStats:
    """The statistics of the generation, now.

    ``sections`` are those of the duties, ``details`` the answers of the workers.
    """
    settings = prepared.settings
    facts = InstanceFacts(
        version=COMPATIBLE_VERSION,
        pid=os.getpid(),
        uid=os.getuid(),
        gid=os.getgid(),
        cwd=os.getcwd(),
        workers=settings.workers.processes,
        cores=cores_of(settings),
        started_on=started_on,
        generation=prepared.number,
    )
    shared = statistics_sections(
        prepared.commons, prepared.settings, prepared.scoreboard
    )
    return take_snapshot(
        facts,
        prepared.scoreboard,
        prepared.listeners,
        details=details,
        sections={**shared, **sections},
    )
