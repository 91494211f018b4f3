"""A world for the policy: it carries out every action at once, without a process.

Knobs make it fail. Time stands still until :meth:`World.wait`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from geuwsgi.master import events as ev
from geuwsgi.master.events import Action, Event, Request
from geuwsgi.master.generation import Generation, Member, Stage
from geuwsgi.master.plan import Plan, Role
from geuwsgi.master.policy import Policy

Answer = Callable[[int], Event | None]


class World:
    """The policy, and what its actions have made.

    ``on_load`` answers StartTemplate (None: the template hangs), ``on_configure``
    answers LoadConfiguration; ``members_start``, ``members_get_ready`` and
    ``members_drain`` say whether forked members do what they should by themselves.
    """

    def __init__(self, plan: Plan | None = None) -> None:
        self.now = 1000.0
        self.policy = Policy()
        self.plan = plan or Plan(members={Role.WORKER: 2})
        self.log: list[str] = []
        self.done: list[Action] = []
        self.alive: dict[int, ev.Fork] = {}
        self.serving: set[int] = set()
        self.templates: set[int] = set()
        self.forgotten: list[int] = []
        self.promoted: list[int] = []
        self.status: int | None = None
        self.members_start = True
        self.members_get_ready = True
        self.members_drain = True
        self.on_load: Answer = lambda generation: ev.TemplateLoaded(generation, 1)
        self.on_configure: Answer = lambda generation: ev.ConfigurationLoaded(
            generation, self.plan
        )
        self._queue: list[Event] = []

    # -- what a test does --------------------------------------------------------------

    def begin(self) -> World:
        return self.tell(ev.Begin(self.plan))

    def tell(self, *events: Event) -> World:
        """Tell the policy, and everything its actions bring about."""
        self._queue.extend(events)
        while self._queue:
            event = self._queue.pop(0)
            for action in self.policy.handle(event, self.now):
                self.done.append(action)
                self._carry_out(action)
        return self

    def ask(self, request: Request, why: str = "") -> World:
        return self.tell(ev.Asked(request, why))

    def wait(self, seconds: float) -> World:
        """Let time pass, with a tick at each deadline the policy names."""
        end = self.now + seconds
        for _ in range(10000):
            deadline = self.policy.next_deadline()
            if deadline > end:
                self.now = end
                return self.tell(ev.Tick())
            self.now = max(self.now, deadline)
            self.tell(ev.Tick())
        raise AssertionError("the policy wants to be asked again and again")

    def exit(self, member: Member, status: int | None = 0) -> World:
        self.alive.pop(member.serial, None)
        self.serving.discard(member.serial)
        return self.tell(ev.MemberExited(member.serial, status))

    def template_exits(self, generation: int, status: int | None) -> World:
        self.templates.discard(generation)
        return self.tell(ev.TemplateExited(generation, status))

    # -- what a test sees --------------------------------------------------------------

    @property
    def current(self) -> Generation:
        current = self.policy.fleet.current
        assert current is not None
        return current

    @property
    def building(self) -> Generation | None:
        return self.policy.fleet.building

    def members(self, role: Role = Role.WORKER) -> list[Member]:
        """The current generation's wanted members, in order of number and age."""
        found = [
            m for m in self.current.members.values() if m.role is role and m.is_wanted
        ]
        return sorted(found, key=lambda m: (m.number, m.serial))

    def worker(self, number: int) -> Member:
        return next(m for m in self.members() if m.number == number)

    def numbers_serving(self) -> list[int]:
        """The worker ids that serve, over all generations."""
        return sorted(
            fork.number
            for serial, fork in self.alive.items()
            if serial in self.serving and fork.role is Role.WORKER
        )

    def has_logged(self, text: str) -> bool:
        return any(text in line for line in self.log)

    def count(self, kind: type) -> int:
        return sum(isinstance(action, kind) for action in self.done)

    # -- carrying out ------------------------------------------------------------------

    def _carry_out(self, action: Action) -> None:
        if isinstance(action, ev.Log):
            self.log.append(action.line)
        elif isinstance(action, ev.LoadConfiguration):
            self._answer(self.on_configure(action.generation))
        elif isinstance(action, ev.StartTemplate):
            assert action.generation not in self.templates, "a second template"
            self.templates.add(action.generation)
            self._answer(self.on_load(action.generation))
        elif isinstance(action, ev.KillTemplate):
            assert action.generation in self.templates, "no template to kill"
            self.templates.discard(action.generation)
            self._answer(ev.TemplateExited(action.generation, -9))
        elif isinstance(action, ev.Fork):
            self._fork(action)
        elif isinstance(action, ev.Serve):
            self.serving.add(action.serial)
        elif isinstance(action, ev.Drain):
            if self.members_drain or math.isclose(action.deadline_s, 0.0):
                self._end(action.serial, 0)
        elif isinstance(action, ev.Kill):
            self._end(action.serial, -9)
        elif isinstance(action, ev.Promote):
            self.promoted.append(action.generation)
        elif isinstance(action, ev.Forget):
            self.forgotten.append(action.generation)
        elif isinstance(action, ev.Exit):
            assert self.status is None
            assert not self.alive, "the instance ended before its members"
            self.status = action.status

    def _fork(self, action: ev.Fork) -> None:
        assert action.generation in self.templates, "there is no template to fork from"
        slots = {(f.generation, f.slot) for f in self.alive.values()}
        assert (action.generation, action.slot) not in slots, "the slot is taken"
        self.alive[action.serial] = action
        if self.members_start:
            self._answer(ev.MemberStarted(action.serial, 5000 + action.serial))
            if self.members_get_ready:
                self._answer(ev.MemberReady(action.serial))

    def _end(self, serial: int, status: int) -> None:
        if self.alive.pop(serial, None) is not None:
            self.serving.discard(serial)
            self._answer(ev.MemberExited(serial, status))

    def _answer(self, event: Event | None) -> None:
        if event is not None:
            self._queue.append(event)


def stages(members: list[Member]) -> list[Stage]:
    return [member.stage for member in members]
