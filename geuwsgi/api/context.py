"""What the ``uwsgi`` module knows of the process it lives in.

Made in the template before the application is imported; the fork fills in who the
process is. Functions of the module read it when they are called, never earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geuwsgi.background.commons import Commons
from geuwsgi.background.member import Background

if TYPE_CHECKING:
    from geuwsgi.config import Configuration
    from geuwsgi.net.listener import Listener
    from geuwsgi.server.site import Site
    from geuwsgi.shared.scoreboard import Scoreboard, ScoreboardSlot
    from geuwsgi.wsgi.applications import Applications


def _nothing() -> bool:
    return False


@dataclass(slots=True, eq=False)
class ApiContext:
    """See the module's text.

    ``worker_id`` and ``mule_id`` are 0 where the process is neither; ``master_pid`` is
    0 without a master. ``reload_instance`` and ``stop_instance`` ask the master and
    return whether there is one.
    """

    configuration: Configuration
    scoreboard: Scoreboard
    listeners: list[Listener]
    started_on: int
    cores: int
    numproc: int
    master_pid: int = 0
    is_reload: bool = False
    worker_id: int = 0
    mule_id: int = 0
    is_spooler: bool = False
    slot: ScoreboardSlot | None = None
    site: Site | None = None
    applications: Applications | None = None
    reload_instance: Callable[[], bool] = _nothing
    stop_instance: Callable[[], bool] = _nothing
    set_accepting: Callable[[bool], None] = lambda accepting: None
    set_title: Callable[[str], None] = lambda title: None
    #: This process's signal handlers and remote functions.
    background: Background = field(default_factory=Background)
    #: What the processes share: caches, locks, queue, areas, metrics, signals.
    commons: Commons = field(default_factory=Commons)

    def rows(self) -> Iterable[memoryview[int]]:
        """The scoreboard rows of the living workers."""
        return self.scoreboard.rows()
