"""The policy's picture of the processes: members and generations.

Nothing here decides; it answers questions about what is there.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from geuwsgi.master.plan import Plan, Role

Place = tuple[Role, int]


class Stage(enum.IntEnum):
    """How far a member's life has come. The order matters."""

    ORDERED = 0  # the template was told to fork it
    STARTING = 1  # it exists
    READY = 2  # it waits to be let serve
    SERVING = 3
    DRAINING = 4  # it was told to finish
    KILLED = 5  # it was sent SIGKILL


@dataclass(slots=True)
class Member:
    """One process that a template forked, or was told to fork."""

    serial: int
    generation: int
    role: Role
    number: int
    slot: int
    forked_at: float
    stage: Stage = Stage.ORDERED
    pid: int = 0
    retire_reason: str = ""  # not empty: it shall be replaced
    retire_at_once: bool = False  # without waiting for other replacements
    mercy_s: float | None = None  # None: what the plan says
    expires_at: float = math.inf  # max-worker-lifetime
    kill_at: float = math.inf
    drained_at: float = 0.0

    @property
    def place(self) -> Place:
        return (self.role, self.number)

    @property
    def is_wanted(self) -> bool:
        return self.stage < Stage.DRAINING

    def __str__(self) -> str:
        return f"{self.role.value} {self.number}"


class Template(enum.Enum):
    """What is known of a generation's template process."""

    ABSENT = "absent"
    LOADING = "loading"
    LOADED = "loaded"


@dataclass(slots=True)
class Generation:
    """One configuration plus one load of the code, and its processes."""

    number: int
    plan: Plan
    template: Template = Template.ABSENT
    template_started_at: float = 0.0
    template_retry_at: float = 0.0
    template_failures: int = 0
    template_is_dying: bool = False  # killed by us, not reaped yet
    still_loading_at: float = math.inf  # when to say that loading takes long
    served: bool = False  # one member was ready once
    boot_failures: int = 0  # members that died before they were ready
    chain_at: int = 0  # chain reload: the worker whose turn it is; 0: no chain
    wanted: dict[Role, int] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    respawn_at: dict[Place, float] = field(default_factory=dict)
    early_deaths: dict[Place, int] = field(default_factory=dict)
    spawns: dict[Place, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.wanted:
            self.wanted = dict(self.plan.members)
            if self.plan.first_workers is not None:
                self.wanted[Role.WORKER] = self.plan.first_workers

    def places(self) -> Iterator[Place]:
        """Every place that shall be filled."""
        for role, count in self.wanted.items():
            for number in range(1, count + 1):
                yield role, number

    def wanted_at(self, place: Place) -> list[Member]:
        """The members that hold ``place`` and were not told to go, oldest first."""
        return [m for m in self.members.values() if m.is_wanted and m.place == place]

    def at(self, place: Place) -> list[Member]:
        """Everyone at ``place``, the draining ones too."""
        return [m for m in self.members.values() if m.place == place]

    def free_slot(self) -> int | None:
        """The lowest slot of the scoreboard that nobody uses; None if all are."""
        taken = {member.slot for member in self.members.values()}
        capacity = self.plan.slots or self.plan.default_slots()
        return next((s for s in range(capacity) if s not in taken), None)

    def replacements_under_way(self) -> int:
        """How many members have a successor that is not ready yet."""
        return sum(
            1
            for member in self.members.values()
            if member.stage < Stage.READY and len(self.wanted_at(member.place)) > 1
        )

    def is_complete(self) -> bool:
        """Whether every place has a member that is ready or serves."""
        return all(
            any(m.stage >= Stage.READY for m in self.wanted_at(place))
            for place in self.places()
        )
