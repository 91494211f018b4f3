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
from geuwsgi.cache.spec import cache_specs

if TYPE_CHECKING:
    from geuwsgi.options import Settings
    from geuwsgi.shared.mutex import Wait


@dataclass(eq=False)
class Commons:
    """The shared things, by kind."""

    caches: Caches = field(default_factory=lambda: Caches(()))

    @classmethod
    def create(
        cls,
        settings: Settings,
        *,
        previous: Commons | None = None,
        log: Log = log_to_stderr,
    ) -> Commons:
        """Make what ``settings`` ask for. Raises ConfigError or StartupError."""
        return cls(
            caches=Caches.create(
                cache_specs(settings.cache),
                previous=previous.caches if previous else None,
                log=log,
            ),
        )

    def descriptors(self) -> list[int]:
        """Return the descriptors that a template must inherit."""
        return self.caches.descriptors()

    def to_wire(self) -> dict[str, Any]:
        """Return JSON-able data for ``from_wire``."""
        return {"caches": self.caches.to_wire()}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any], *, log: Log = log_to_stderr) -> Commons:
        """Map everything in a process that inherited the descriptors."""
        return cls(caches=Caches.from_wire(wire["caches"], log=log))

    def enter(self, *, role: str, number: int, slot: int, wait: Wait) -> None:
        """Be used by one forked process from now on.

        ``role`` is "worker", "mule" or "spooler" and ``number`` its number among them;
        ``slot`` is that of the scoreboard, which no two living processes share.
        ``wait`` is how to wait for a lock without stopping the hub.
        """
        self.caches.enter_process(stripe=slot, wait=wait)

    def release(self, successor: Commons) -> None:
        """Free what ``successor`` did not take over; nobody uses it any more."""
        self.caches.release(successor.caches)

    def close(self) -> None:
        """End of the instance."""
        self.caches.close()
