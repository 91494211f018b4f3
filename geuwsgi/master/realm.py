"""What an emperor decides: which vassals live, are reloaded, wait, or must go.

Pure: it is told what was found, what vassals say and how they end, and returns what to
do. A vassal is known by the path of its file. It *waits* (for its turn, or to be tried
again), *sleeps* until somebody connects to its socket, *runs*, or *ends* because it was
told to; it is *wanted* as long as its file is there. Whatever happens to one vassal
changes nothing for another.

A vassal that asks for help gets *reinforcements* (uWSGI: broodlord): further instances,
of the section ``zerg`` of its file, which are not started again when they end.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final


class Sign(enum.IntEnum):
    """Bytes that a vassal sends."""

    SPAWNED = 1
    WANTS_CONFIGURATION = 2
    READY = 5
    LOYAL = 17
    RETIRES = 22
    HEARTBEAT = 26
    NEEDS_HELP = 30


class Command(enum.IntEnum):
    """Bytes that a vassal is sent."""

    STOP = 0
    RELOAD = 1
    DRAIN = 2


#: The exit status of a vassal that must not be started again.
EXILED: Final = 26
#: A vassal that fails sooner after it was ready has failed as one that never was.
SHORT_REIGN_S: Final = 3.0


@dataclass(frozen=True)
class Candidate:
    """A file that describes a vassal, as it was found.

    ``name`` is what the vassal is told to read, in the working directory
    ``directory``, and ``flag`` how.
    """

    path: str
    name: str
    directory: str
    flag: str
    modified_ns: int
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Laws:
    """The emperor's options, in seconds."""

    throttle_s: float = 1.0
    max_throttle_s: float = 180.0
    tolerance_s: float = 30.0
    required_heartbeat_s: float = 30.0
    reinforcements: int = 0
    minds_owners: bool = False
    drains: bool = True


class Stage(enum.Enum):
    WAITING = "waiting"
    ASLEEP = "asleep"
    RUNNING = "running"
    ENDING = "ending"


_WITHOUT_PROCESS: Final = (Stage.WAITING, Stage.ASLEEP)


@dataclass(slots=True)
class Vassal:
    """One vassal, with or without a process. Times are monotonic seconds.

    ``helps`` is the path of the vassal that it is a reinforcement of, else empty.
    """

    candidate: Candidate
    helps: str = ""
    stage: Stage = Stage.WAITING
    start_at: float = 0.0
    kill_at: float = math.inf
    delay_s: float = 0.0
    is_wanted: bool = True
    has_retired: bool = False
    started_at: float = -math.inf
    ready_at: float = math.inf
    loyal_at: float = math.inf
    first_started_at: float = -math.inf
    last_heartbeat: float | None = None
    starts: int = 0
    reloads: int = 0


@dataclass(slots=True)
class Start:
    """Start a process for this file; tell ``failed`` if there can be none.

    Or tell ``sleeps``, if there is to be one only when somebody connects.
    """

    candidate: Candidate


@dataclass(slots=True)
class Tell:
    path: str
    command: Command


@dataclass(slots=True)
class Kill:
    path: str


@dataclass(slots=True)
class Log:
    line: str


Deed = Start | Tell | Kill | Log


@dataclass(eq=False)
class Realm:
    """All vassals of one emperor. Each method returns what has to be done now."""

    laws: Laws
    vassals: dict[str, Vassal] = field(default_factory=dict)
    is_stopping: bool = False
    _deeds: list[Deed] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the emperor stops, and no vassal is left."""
        return self.is_stopping and not self.vassals

    def next_deadline(self) -> float:
        """When ``tick`` must be called at the latest."""
        return min(map(self._deadline, self.vassals.values()), default=math.inf)

    def see(self, found: Mapping[str, Candidate], now: float) -> list[Deed]:
        """These files are there, by path, and no others."""
        if self.is_stopping:
            return []
        for path, candidate in found.items():
            known = self.vassals.get(path)
            if known is None:
                self.vassals[path] = Vassal(candidate, start_at=now)
            else:
                self._look_again(known, candidate, now)
        for path, vassal in list(self.vassals.items()):
            if (vassal.helps or path) not in found:
                self._give_up(vassal, now)
        return self._start_due(now)

    def tick(self, now: float) -> list[Deed]:
        """Time has passed."""
        for vassal in self.vassals.values():
            if vassal.stage is Stage.ENDING and now >= vassal.kill_at:
                self._log(vassal, "does not end, and is killed")
                self._deeds.append(Kill(vassal.candidate.path))
                vassal.kill_at = now + 1.0
            elif vassal.stage is Stage.RUNNING and now >= self._deadline(vassal):
                self._log(vassal, "sent no heartbeat in time, and is stopped")
                self._end(vassal, Command.STOP, now)
        return self._start_due(now)

    def hear(self, path: str, sign: int, now: float) -> list[Deed]:
        """The vassal has sent this byte. Unknown bytes are ignored."""
        vassal = self.vassals.get(path)
        if vassal is not None and vassal.stage is not Stage.WAITING:
            handler = self._hearings().get(sign)
            if handler is not None:
                handler(vassal, now)
        return self._start_due(now)

    def failed(self, path: str, reason: str, now: float) -> list[Deed]:
        """The process could not be started."""
        vassal = self.vassals[path]
        self._log(vassal, f"cannot be started: {reason}")
        self._throttle(vassal, now)
        return self._done()

    def sleeps(self, path: str) -> list[Deed]:
        """There is to be no process before somebody connects."""
        vassal = self.vassals[path]
        vassal.stage = Stage.ASLEEP
        vassal.starts -= 1
        self._log(vassal, "is started when somebody connects")
        return self._done()

    def is_called(self, path: str, now: float) -> list[Deed]:
        """Somebody connects to the socket of a vassal that sleeps."""
        vassal = self.vassals[path]
        if vassal.stage is Stage.ASLEEP:
            vassal.stage = Stage.WAITING
            vassal.start_at = now
        return self._start_due(now)

    def exited(self, path: str, status: int, now: float) -> list[Deed]:
        """The process of the vassal has ended."""
        vassal = self.vassals[path]
        was_told = vassal.stage is Stage.ENDING
        how = f"killed by signal {-status}" if status < 0 else f"status {status}"
        vassal.stage = Stage.WAITING
        vassal.kill_at = math.inf
        if not vassal.is_wanted or vassal.helps or self.is_stopping:
            del self.vassals[path]
            self._log(vassal, f"removed ({how})")
        elif status == EXILED or vassal.has_retired:
            vassal.start_at = math.inf
            self._log(vassal, "went into exile; touch its file to call it back")
        elif was_told:
            vassal.delay_s = 0.0
            vassal.start_at = now
            self._log(vassal, f"has ended ({how})")
        else:
            self._mourn(vassal, how, now)
        return self._start_due(now)

    def reload(self, now: float) -> list[Deed]:
        """Have every vassal reload, and try again those that failed."""
        for vassal in self.vassals.values():
            self._reload(vassal, now)
        return self._start_due(now)

    def stop(self, now: float, *, gracefully: bool) -> list[Deed]:
        """End all of them; asked again, without any patience."""
        again, self.is_stopping = self.is_stopping, True
        for path, vassal in list(self.vassals.items()):
            vassal.is_wanted = False
            if vassal.stage in _WITHOUT_PROCESS:
                del self.vassals[path]
            elif again and vassal.stage is Stage.ENDING and not gracefully:
                self._deeds.append(Kill(path))
            else:
                command = Command.DRAIN if gracefully else Command.STOP
                self._end(vassal, command, now)
        return self._done()

    # -- one vassal --------------------------------------------------------------------

    def _look_again(self, vassal: Vassal, candidate: Candidate, now: float) -> None:
        former, vassal.candidate = vassal.candidate, candidate
        if vassal.stage is Stage.ENDING:
            if not vassal.is_wanted:
                vassal.is_wanted = True
                vassal.has_retired = False
            return
        changed_hands = (former.uid, former.gid) != (candidate.uid, candidate.gid)
        if changed_hands and self.laws.minds_owners and vassal.stage is Stage.RUNNING:
            self._log(vassal, "has another owner now, and starts anew")
            self._end(vassal, Command.DRAIN, now)
        elif former.modified_ns != candidate.modified_ns:
            self._reload(vassal, now)
            for other in self.vassals.values():
                if other.helps == candidate.path:
                    self._reload(other, now)

    def _reload(self, vassal: Vassal, now: float) -> None:
        if vassal.stage is Stage.RUNNING:
            vassal.reloads += 1
            self._log(vassal, "is reloaded")
            self._deeds.append(Tell(vassal.candidate.path, Command.RELOAD))
        elif vassal.stage in _WITHOUT_PROCESS:
            vassal.stage = Stage.WAITING
            vassal.delay_s = 0.0
            vassal.has_retired = False
            vassal.start_at = now

    def _give_up(self, vassal: Vassal, now: float) -> None:
        if vassal.stage in _WITHOUT_PROCESS:
            del self.vassals[vassal.candidate.path]
            self._log(vassal, "removed")
        elif vassal.is_wanted:
            vassal.is_wanted = False
            self._log(vassal, "has no file any more, and is stopped")
            if vassal.stage is Stage.RUNNING:
                command = Command.DRAIN if self.laws.drains else Command.STOP
                self._end(vassal, command, now)

    def _end(self, vassal: Vassal, command: Command, now: float) -> None:
        vassal.stage = Stage.ENDING
        vassal.kill_at = min(vassal.kill_at, now + self.laws.tolerance_s)
        self._deeds.append(Tell(vassal.candidate.path, command))

    def _mourn(self, vassal: Vassal, how: str, now: float) -> None:
        if now - vassal.ready_at >= SHORT_REIGN_S:
            vassal.delay_s = 0.0
            vassal.start_at = now
            self._log(vassal, f"has ended ({how}), and is started again")
        else:
            self._log(vassal, f"has failed ({how})")
            self._throttle(vassal, now)

    def _throttle(self, vassal: Vassal, now: float) -> None:
        laws = self.laws
        vassal.stage = Stage.WAITING
        vassal.delay_s = min(vassal.delay_s + laws.throttle_s, laws.max_throttle_s)
        vassal.start_at = now + vassal.delay_s
        if vassal.delay_s:
            self._log(vassal, f"is tried again in {vassal.delay_s:g} seconds")

    def _start_due(self, now: float) -> list[Deed]:
        if not self.is_stopping:
            for vassal in self.vassals.values():
                if vassal.stage is Stage.WAITING and now >= vassal.start_at:
                    vassal.stage = Stage.RUNNING
                    vassal.started_at = now
                    vassal.ready_at = math.inf
                    vassal.loyal_at = math.inf
                    if not vassal.starts:
                        vassal.first_started_at = now
                    vassal.last_heartbeat = None
                    vassal.starts += 1
                    self._deeds.append(Start(vassal.candidate))
        return self._done()

    def _deadline(self, vassal: Vassal) -> float:
        if vassal.stage is Stage.ENDING:
            return vassal.kill_at
        if vassal.stage is Stage.ASLEEP:
            return math.inf
        if vassal.stage is Stage.WAITING:
            return math.inf if self.is_stopping else vassal.start_at
        if vassal.last_heartbeat is None:
            return math.inf
        return vassal.last_heartbeat + self.laws.required_heartbeat_s

    # -- what vassals say --------------------------------------------------------------

    def _hearings(self) -> dict[int, Callable[[Vassal, float], None]]:
        return {
            Sign.READY: self._is_ready,
            Sign.LOYAL: self._is_loyal,
            Sign.HEARTBEAT: self._beats,
            Sign.RETIRES: self._retires,
            Sign.NEEDS_HELP: self._reinforce,
        }

    def _is_ready(self, vassal: Vassal, now: float) -> None:
        vassal.ready_at = now
        self._log(vassal, "is ready to accept requests")

    def _is_loyal(self, vassal: Vassal, now: float) -> None:
        if math.isinf(vassal.loyal_at):
            vassal.loyal_at = now
            self._log(vassal, "is now loyal")

    def _beats(self, vassal: Vassal, now: float) -> None:
        vassal.last_heartbeat = now

    def _reinforce(self, vassal: Vassal, now: float) -> None:
        """Let another instance help, of the section zerg of the same file."""
        helpers = [other for other in self.vassals.values() if other.helps]
        if len(helpers) >= self.laws.reinforcements:
            self._log(vassal, "asks for reinforcements; there are no more")
            return
        candidate = vassal.candidate
        taken = {other.candidate.path for other in helpers}
        paths = (f"{candidate.path}:zerg:{n}" for n in itertools.count(1))
        path = next(path for path in paths if path not in taken)
        helper = replace(candidate, path=path, name=f"{candidate.name}:zerg")
        home = vassal.helps or candidate.path
        self.vassals[path] = Vassal(helper, helps=home, start_at=now)
        self._log(vassal, "asks for reinforcements, and gets one")

    def _retires(self, vassal: Vassal, now: float) -> None:
        if vassal.stage is Stage.RUNNING:
            self._log(vassal, "wants to be stopped")
            self._end(vassal, Command.DRAIN, now)
            vassal.has_retired = True

    def _log(self, vassal: Vassal, what: str) -> None:
        self._deeds.append(Log(f"[emperor] vassal {vassal.candidate.name} {what}"))

    def _done(self) -> list[Deed]:
        deeds, self._deeds = self._deeds, []
        return deeds

    def __iter__(self) -> Iterator[Vassal]:
        return iter(self.vassals.values())
