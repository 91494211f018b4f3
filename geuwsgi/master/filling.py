"""From what is there to what should be there: places, successors, promotion.

Part of the policy (`geuwsgi.master.policy`), and as pure: looking at the fleet, it
orders the forks that are missing, lets serve who is ready, drains who has a successor,
and promotes the generation that is complete.
"""

from __future__ import annotations

from geuwsgi.master import events as ev
from geuwsgi.master.fleet import Fleet
from geuwsgi.master.generation import Generation, Member, Place, Stage, Template
from geuwsgi.master.plan import Role


class Filling:
    """Fills the places of the generations of ``fleet``."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.is_paused = False

    def fill(self, generation: Generation, now: float) -> None:
        """Order what ``generation`` lacks, and end what it has too much of."""
        if generation.template is Template.ABSENT:
            if now < generation.template_retry_at:
                return
            self.fleet.start_template(generation, now)
        for place in generation.places():
            if not self._is_held_by_chain(generation, place):
                self._fill_place(generation, place, now)
        for member in generation.members.values():
            surplus = member.number > generation.wanted.get(member.role, 0)
            if surplus and member.is_wanted:
                self.fleet.drain(member, "not needed", now)

    def _is_held_by_chain(self, generation: Generation, place: Place) -> bool:
        """Whether a chain reload forbids forks at ``place`` for now."""
        role, number = place
        building = self.fleet.building
        if building is None or not building.chain_at or role is not Role.WORKER:
            return False
        if generation is building:
            return number > building.chain_at
        return any(m.stage is Stage.SERVING for m in building.wanted_at(place))

    def _fill_place(self, generation: Generation, place: Place, now: float) -> None:
        fleet = self.fleet
        holders = generation.wanted_at(place)
        if not holders:
            fleet.fork(generation, place, now)
            return
        newest = holders[-1]
        if newest.stage is Stage.READY and self._may_serve(generation, place):
            fleet.serve(newest)
            if self.is_paused and newest.role is Role.WORKER:
                fleet.do(ev.Pause(newest.serial, True))
        if len(holders) > 1:
            if newest.stage >= Stage.READY:
                for older in holders[:-1]:
                    fleet.drain(older, older.retire_reason or "replaced", now)
        elif newest.retire_reason and self._may_replace(generation, newest):
            fleet.fork(generation, place, now)

    def _may_serve(self, generation: Generation, place: Place) -> bool:
        if generation is self.fleet.current:
            return True
        role, number = place
        return role is Role.WORKER and 0 < number <= generation.chain_at

    def _may_replace(self, generation: Generation, member: Member) -> bool:
        if generation is not self.fleet.current or self.fleet.building is not None:
            return False  # the next generation replaces it anyway
        return member.retire_at_once or generation.replacements_under_way() == 0

    def advance(self, building: Generation, now: float) -> None:
        """Promote ``building`` if it is complete, or take the next chain step."""
        if building.chain_at:
            self._advance_chain(building, now)
        if not building.chain_at and building.is_complete():
            self._promote(building, now)

    def _advance_chain(self, building: Generation, now: float) -> None:
        current = self.fleet.current
        assert current is not None
        while building.chain_at <= building.wanted.get(Role.WORKER, 0):
            place = (Role.WORKER, building.chain_at)
            if not any(m.stage is Stage.SERVING for m in building.wanted_at(place)):
                return
            victims = current.at(place)
            for victim in victims:
                if victim.is_wanted:
                    self.fleet.log(f"chain next victim is {victim}")
                    self.fleet.drain(victim, "chain reload", now)
            if victims:
                return
            building.chain_at += 1
            self.fill(building, now)
        if building.is_complete():
            building.chain_at = 0
            self.fleet.log("chain reloading complete")

    def _promote(self, building: Generation, now: float) -> None:
        fleet = self.fleet
        former, fleet.current, fleet.building = fleet.current, building, None
        fleet.log(f"generation {building.number} is ready and takes over")
        fleet.do(ev.Promote(building.number))
        self.fill(building, now)
        if former is not None:
            fleet.drop(former, "reload", now)
