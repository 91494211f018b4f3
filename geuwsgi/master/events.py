"""What the policy is told, and what it answers.

Events go in, actions come out. Both are plain values: the policy never sees a
process, and the loop never decides.

A *generation* is one configuration plus one load of the code. A *member* is a process
forked by a generation's template: a worker, a mule, a spooler or the service process.
It is named by its *serial*, which is never used twice; its (role, number) pair is
shared by the members that follow each other in one place.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from geuwsgi.master.plan import Plan, Role


class Request(enum.Enum):
    """What an operator, a touched file, the application or a signal asks for."""

    RELOAD = "reload"  # a new generation, then drain the old one
    BRUTAL_RELOAD = "brutal reload"  # the same, without mercy for the old one
    CHAIN_RELOAD = "chain reload"  # a new generation, one worker at a time
    RELOAD_WORKERS = "reload of the workers"  # the same generation forks anew
    BRUTAL_RELOAD_WORKERS = "brutal reload of the workers"
    RELOAD_MULES = "reload of the mules"
    RELOAD_SPOOLERS = "reload of the spoolers"
    STOP = "graceful stop"
    BRUTAL_STOP = "stop"
    PAUSE = "pause"  # toggles
    MORE_WORKERS = "one worker more"
    FEWER_WORKERS = "one worker less"
    CHEAP = "cheap mode"


#: Requests for a new generation.
RELOADS: Final = frozenset(
    {Request.RELOAD, Request.BRUTAL_RELOAD, Request.CHAIN_RELOAD}
)
#: Requests for new members of the same one.
RETIREMENTS: Final = {
    Request.RELOAD_WORKERS: Role.WORKER,
    Request.BRUTAL_RELOAD_WORKERS: Role.WORKER,
    Request.RELOAD_MULES: Role.MULE,
    Request.RELOAD_SPOOLERS: Role.SPOOLER,
}


# -- events ------------------------------------------------------------------------


@dataclass(slots=True)
class Begin:
    """The first configuration is ready. It comes once, before everything else."""

    plan: Plan


@dataclass(slots=True)
class Asked:
    request: Request
    why: str = ""  # who asked: "SIGHUP", "touched app.ini", "the application"


@dataclass(slots=True)
class ConfigurationLoaded:
    """The answer to ``LoadConfiguration``: resources of the generation are ready."""

    generation: int
    plan: Plan


@dataclass(slots=True)
class ConfigurationFailed:
    generation: int
    message: str


@dataclass(slots=True)
class TemplateLoaded:
    """The template has loaded the application and can fork.

    ``error`` is the last line of what went wrong, None if nothing did.
    """

    generation: int
    apps: int = 0
    error: str | None = None


@dataclass(slots=True)
class TemplateExited:
    """``status`` as ``os.waitstatus_to_exitcode`` tells it; None: unknown."""

    generation: int
    status: int | None


@dataclass(slots=True)
class MemberStarted:
    serial: int
    pid: int


@dataclass(slots=True)
class MemberReady:
    serial: int


@dataclass(slots=True)
class MemberFailed:
    """It could not load the application (lazy-apps) and serves without one."""

    serial: int
    error: str


@dataclass(slots=True)
class MemberRetires:
    """It asks to be replaced, and goes on until its successor is ready."""

    serial: int
    reason: str
    brutal: bool = False


@dataclass(slots=True)
class MemberHangs:
    """Its hub is blocked for longer than a request may take."""

    serial: int


@dataclass(slots=True)
class Resize:
    """The load asks for this many workers."""

    generation: int
    workers: int
    why: str = ""


@dataclass(slots=True)
class MemberLost:
    """Its channel is closed, though the process may still be there."""

    serial: int


@dataclass(slots=True)
class MemberExited:
    serial: int
    status: int | None


@dataclass(slots=True)
class Tick:
    """Time has passed."""


Event = (
    Begin
    | Asked
    | ConfigurationLoaded
    | ConfigurationFailed
    | TemplateLoaded
    | TemplateExited
    | MemberStarted
    | MemberReady
    | MemberFailed
    | MemberRetires
    | MemberHangs
    | Resize
    | MemberLost
    | MemberExited
    | Tick
)


# -- actions -----------------------------------------------------------------------


@dataclass(slots=True)
class LoadConfiguration:
    """Read the configuration anew and open what it asks for, as ``generation``."""

    generation: int


@dataclass(slots=True)
class StartTemplate:
    generation: int


@dataclass(slots=True)
class KillTemplate:
    """End the template at once; it holds nothing that is worth a farewell."""

    generation: int


@dataclass(slots=True)
class Fork:
    generation: int
    serial: int
    slot: int
    role: Role
    number: int
    respawn_count: int


@dataclass(slots=True)
class Serve:
    """Let a member that is ready begin its work."""

    serial: int


@dataclass(slots=True)
class Drain:
    """Tell a member to finish within ``deadline_s`` and exit."""

    serial: int
    reason: str
    deadline_s: float


@dataclass(slots=True)
class Announce:
    """Tell a member that it will be drained soon; it goes on until then."""

    serial: int


@dataclass(slots=True)
class Pause:
    serial: int
    paused: bool


@dataclass(slots=True)
class Kill:
    """Send SIGKILL."""

    serial: int


@dataclass(slots=True)
class Promote:
    """``generation`` serves now; what belonged to the former one may be let go."""

    generation: int


@dataclass(slots=True)
class Forget:
    """No process of ``generation`` is left; free what was held for it."""

    generation: int


@dataclass(slots=True)
class Log:
    line: str


@dataclass(slots=True)
class Exit:
    status: int


Action = (
    LoadConfiguration
    | StartTemplate
    | KillTemplate
    | Fork
    | Serve
    | Drain
    | Announce
    | Pause
    | Kill
    | Promote
    | Forget
    | Log
    | Exit
)
