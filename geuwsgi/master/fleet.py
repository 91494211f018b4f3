"""All generations and members of an instance, and the single steps that change them.

A step changes the picture and notes the action that makes it true. When a step is due
is decided in `geuwsgi.master.policy`.
"""

from __future__ import annotations

import math
from typing import Final

from geuwsgi.master import events as ev
from geuwsgi.master.events import Action
from geuwsgi.master.generation import Generation, Member, Place, Stage, Template
from geuwsgi.master.plan import Plan, Role

KILL_MARGIN_S: Final = 2.0  # time to die by itself once its mercy is over
BRUTAL_MARGIN_S: Final = 3.0
STILL_LOADING_S: Final = 30.0
MAX_TEMPLATE_DELAY_S: Final = 60.0


class Fleet:
    """``current`` serves, ``building`` shall follow it, ``former`` are ending."""

    def __init__(self) -> None:
        self.current: Generation | None = None
        self.building: Generation | None = None
        self.former: list[Generation] = []
        self._serials = 0
        self._generations = 0
        self._actions: list[Action] = []

    # -- questions ---------------------------------------------------------------------

    def generations(self) -> list[Generation]:
        """Everyone who has processes, or will."""
        present = (self.current, self.building, *self.former)
        return [generation for generation in present if generation is not None]

    def find(self, number: int) -> Generation | None:
        return next((g for g in self.generations() if g.number == number), None)

    def member(self, serial: int) -> Member | None:
        """The member with this serial, if it lives."""
        for generation in self.generations():
            member = generation.members.get(serial)
            if member is not None:
                return member
        return None

    def of(self, member: Member) -> Generation:
        """The generation a living member belongs to."""
        generation = self.find(member.generation)
        assert generation is not None
        return generation

    def is_ending(self, generation: Generation) -> bool:
        return any(generation is former for former in self.former)

    def has_members(self, role: Role | None = None) -> bool:
        """Whether there is anybody, or anybody of that role."""
        return any(
            role in (None, member.role)
            for generation in self.generations()
            for member in generation.members.values()
        )

    def next_deadline(self, now: float, *, is_stopping: bool) -> float:
        """When after ``now`` time alone changes something; infinity if it never does.

        What was due before and is still there waits for something else than time.
        """
        times = [math.inf]
        for generation in self.generations():
            for member in generation.members.values():
                times.append(member.kill_at)
                if member.is_wanted and not member.retire_reason:
                    times.append(member.expires_at)
            if is_stopping or self.is_ending(generation):
                continue
            times.append(generation.still_loading_at)
            times.extend(generation.respawn_at.values())
            if generation.template is Template.ABSENT:
                times.append(generation.template_retry_at or math.inf)
        return min(time for time in times if time > now)

    # -- actions -----------------------------------------------------------------------

    def do(self, action: Action) -> None:
        self._actions.append(action)

    def log(self, line: str) -> None:
        self.do(ev.Log(line))

    def take_actions(self) -> list[Action]:
        """What is to be done since the last call, in order."""
        actions, self._actions = self._actions, []
        return actions

    # -- steps with generations --------------------------------------------------------

    def next_number(self) -> int:
        self._generations += 1
        return self._generations

    def begin(self, plan: Plan) -> None:
        """Make the first generation."""
        self.current = Generation(self.next_number(), plan)

    def start_template(self, generation: Generation, now: float) -> None:
        generation.template = Template.LOADING
        generation.template_started_at = now
        generation.still_loading_at = now + STILL_LOADING_S
        self.do(ev.StartTemplate(generation.number))

    def kill_template(self, generation: Generation) -> None:
        if generation.template is Template.ABSENT or generation.template_is_dying:
            return
        generation.template_is_dying = True
        generation.still_loading_at = math.inf
        self.do(ev.KillTemplate(generation.number))

    def delay_template(self, generation: Generation, now: float) -> None:
        """Wait before the next attempt, longer each time."""
        generation.template_failures += 1
        delay = generation.plan.respawn_delay_s * 2 ** (
            generation.template_failures - 1
        )
        generation.template_retry_at = now + min(delay, MAX_TEMPLATE_DELAY_S)

    def drop(self, generation: Generation, reason: str, now: float) -> None:
        """End everything of ``generation``, its members with mercy."""
        self.former.append(generation)
        self.kill_template(generation)
        for member in list(generation.members.values()):
            if member.is_wanted:
                self.drain(member, reason, now)

    def forget_ended(self) -> None:
        """Let go of the former generations that have no process any more."""
        for generation in list(self.former):
            if not generation.members and generation.template is Template.ABSENT:
                self.former.remove(generation)
                self.do(ev.Forget(generation.number))

    # -- steps with members ------------------------------------------------------------

    def fork(self, generation: Generation, place: Place, now: float) -> None:
        """Order a member for ``place``, if there is a template and it is time."""
        if generation.template is not Template.LOADED:
            return
        if now < generation.respawn_at.get(place, 0.0):
            return
        slot = generation.free_slot()
        if slot is None:
            return  # until one of those that drain has ended
        generation.respawn_at.pop(place, None)
        self._serials += 1
        role, number = place
        spawns = generation.spawns[place] = generation.spawns.get(place, 0) + 1
        member = Member(self._serials, generation.number, role, number, slot, now)
        plan = generation.plan
        if role is Role.WORKER and plan.max_lifetime_s:
            lifetime = plan.max_lifetime_s + number * plan.max_lifetime_delta_s
            member.expires_at = now + lifetime
        generation.members[member.serial] = member
        self.do(ev.Fork(generation.number, member.serial, slot, role, number, spawns))

    def serve(self, member: Member) -> None:
        member.stage = Stage.SERVING
        self.do(ev.Serve(member.serial))

    def drain(
        self, member: Member, reason: str, now: float, mercy_s: float | None = None
    ) -> None:
        """Have ``member`` finish within its mercy; it is killed a little later."""
        if mercy_s is None:
            mercy_s = member.mercy_s
        if mercy_s is None:
            mercy_s = self.of(member).plan.mercy_s(member.role)
        if member.is_wanted:
            member.drained_at = now
        member.stage = Stage.DRAINING
        margin = KILL_MARGIN_S if mercy_s else BRUTAL_MARGIN_S
        member.kill_at = now + mercy_s + margin
        self.do(ev.Drain(member.serial, reason, mercy_s))

    def kill(self, member: Member, now: float) -> None:
        if member.pid and member.stage is Stage.DRAINING:
            self.log(
                f"{member} (pid: {member.pid}) does not end by itself...NO MERCY !!!"
            )
        self.do(ev.Kill(member.serial))
        if member.stage is Stage.DRAINING:
            member.stage = Stage.KILLED
        member.kill_at = now + BRUTAL_MARGIN_S
