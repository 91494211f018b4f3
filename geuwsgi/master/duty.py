"""Side jobs of the master: touched files, the fifo, crons, daemons, …

A duty is made from a generation's settings, begins when that generation serves, and
ends when the next one does or the instance stops. It runs in the master's loop, so it
must never block; what takes long is a child process. It decides nothing about workers:
it *asks*, and the policy decides.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from geuwsgi.master.events import Event, Request
from geuwsgi.master.inquiry import Deliver

if TYPE_CHECKING:
    from geuwsgi.master.processes import MemberProcess


class Word(enum.Enum):
    """What one duty may have all others hear."""

    HELP = "ask the emperor for reinforcements"
    SEARCH = "look for vassals at once"


class Desk(Protocol):
    """What the master does for a duty."""

    def ask(self, request: Request, why: str) -> None:
        """Ask the policy for something; ``why`` is for the log."""

    def watch(self, fileno: int, callback: Callable[[], None]) -> None:
        """Call back whenever ``fileno`` can be read, until ``unwatch``."""

    def unwatch(self, fileno: int) -> None: ...

    def inquire(self, name: str, deliver: Deliver) -> None:
        """Ask all workers ``name``; deliver what was answered in time."""

    def serving_workers(self) -> list[MemberProcess]:
        """The workers of all generations that serve."""

    def wanted_workers(self) -> int:
        """How many workers the policy wants now; 0 in cheap mode."""

    def send_signal(self, member: MemberProcess, number: int) -> None:
        """Send a signal to a member that may just have ended."""

    def put(self, event: Event) -> None:
        """Tell the policy what was noticed."""

    def tell_duties(self, word: Word) -> None:
        """Have all duties hear a word."""

    def raise_signal(self, number: int) -> None:
        """Send a uwsgi signal to whoever the application registered for it."""

    def log_statistics(self) -> None: ...

    def sections(self) -> dict[str, Any]:
        """What the duties that run contribute to the statistics, by uWSGI's names."""

    def toggle_subscriptions(self) -> None:
        """Stop announcing this instance to routers, or begin again."""

    def hear_log(self, callback: Callable[[bytes], None] | None) -> None:
        """Call back with each line of the log, until told None.

        Only with log-master does the master see the lines.
        """

    def reopen_logs(self) -> None: ...

    def rotate_logs(self) -> None: ...

    def write_pidfiles(self) -> None: ...

    def dismiss(self, pid: int, limit_s: float) -> None:
        """Kill the session of the child ``pid`` if it has not ended in time.

        Its end is no longer told to anybody.
        """

    def now(self) -> float:
        """Monotonic seconds."""

    def is_leaving(self) -> bool:
        """Whether the instance ends, or is going to (drain-delay)."""

    def is_ending(self) -> bool:
        """Whether the instance ends, and not only a generation."""

    def expect(self, pid: int, callback: Callable[[int], None]) -> None:
        """Call back with the exit status when the child ``pid`` has ended."""


class Duty:
    """One side job. Each method does nothing unless a duty says otherwise.

    A duty whose ``key`` is that of the former generation's duty is not begun: the
    former one goes on.
    """

    key: object = None

    def begin(self, desk: Desk) -> None:
        """The generation serves now."""

    def follow(self, successor: Duty) -> None:
        """Go on in place of ``successor``, which has the same key and is not begun."""

    def tick(self, now: float) -> None:
        """About once in each check-interval; ``now`` is monotonic seconds."""

    def next_deadline(self) -> float:
        """When ``tick`` is due before its time, monotonic seconds; infinity: never."""
        return math.inf

    def hear(self, word: Word) -> None:
        """Another duty has said something that may concern this one."""

    def learn_sources(self, files: Mapping[str, int]) -> None:
        """A process was loaded from these files, modified at these nanoseconds."""

    def sections(self) -> Mapping[str, Any]:
        """What it contributes to the statistics, by uWSGI's names."""
        return {}

    def toggle_subscriptions(self) -> None:
        """The operator wants the instance announced no more, or again."""

    def serving(self) -> None:
        """The generation's first member is ready; may be called again."""

    def end(self) -> None:
        """Another generation's duties take over, or the instance stops."""
