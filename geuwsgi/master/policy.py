"""What happened → what to do next, for the life of the whole instance.

This is the one place that decides about processes: who is forked, replaced, drained,
killed, when a reload has succeeded, when the instance ends. It is a state machine
without clock, process, signal or file: :meth:`Policy.handle` takes one event and the
monotonic time and returns actions for the loop to carry out in order.

The rules:

* A reload builds the next generation aside. The current one keeps its full strength,
  respawns included, until every place of the next one is ready; then the next one
  is promoted and the former drained. What fails on the way is told and dropped.
* A replacement comes first: a member that shall go serves until its successor is
  ready. Replacements the server itself wants go one at a time.
* Whoever was told to finish and does not within its mercy is killed.
* Whoever dies soon after its fork is forked again only after a delay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from geuwsgi.master import events as ev
from geuwsgi.master.events import Action, Event, Plan, Request, Role
from geuwsgi.master.generation import Generation, Member, Place, Stage, Template

NO_APP_STATUS: Final = 22  # uWSGI: need-app
RELOAD_STATUS: Final = 17  # uWSGI: a worker that was asked to reload
CHEAP_STATUS: Final = 15  # uWSGI: a worker that goes cheap

KILL_MARGIN_S: Final = 2.0  # time to die by itself once its mercy is over
BRUTAL_MARGIN_S: Final = 3.0
LOST_MARGIN_S: Final = 3.0  # from closing the channel to being dead
LOST_ORDER_S: Final = 0.2
MAX_BOOT_FAILURES: Final = 3  # then a generation that is being built is given up
MAX_TEMPLATE_DELAY_S: Final = 60.0
STILL_LOADING_S: Final = 30.0


class Policy:
    """The life of one instance.

    ``handle`` must be called again at ``next_deadline()`` with a ``Tick`` at the
    latest. After an ``Exit`` action nothing more comes.
    """

    def __init__(self) -> None:
        self.current: Generation | None = None
        self.building: Generation | None = None
        self.former: list[Generation] = []
        self.is_stopping = False
        self.is_paused = False
        self._requested: tuple[int, Request] | None = None  # being configured
        self._exit_status = 0
        self._exited = False
        self._serials = 0
        self._generations = 0
        self._actions: list[Action] = []
        self._handlers: dict[type, Callable[[Event, float], None]] = {
            ev.Begin: self._begin,
            ev.Asked: self._asked,
            ev.ConfigurationLoaded: self._configuration_loaded,
            ev.ConfigurationFailed: self._configuration_failed,
            ev.TemplateLoaded: self._template_loaded,
            ev.TemplateExited: self._template_exited,
            ev.MemberStarted: self._member_started,
            ev.MemberReady: self._member_ready,
            ev.MemberFailed: self._member_failed,
            ev.MemberRetires: self._member_retires,
            ev.MemberLost: self._member_lost,
            ev.MemberExited: self._member_exited,
        }

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take one event, return what to do, in order."""
        if self._exited:
            return []
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event, now)
        self._check_times(now)
        self._reconcile(now)
        actions, self._actions = self._actions, []
        return actions

    def next_deadline(self) -> float:
        """When ``Tick`` must come at the latest; infinity if nothing is pending."""
        times = [math.inf]
        for generation in self._generations_alive():
            for member in generation.members.values():
                times.append(member.kill_at)
                if member.is_wanted and not member.retire_reason:
                    times.append(member.expires_at)
            if not self.is_stopping:
                times.append(generation.still_loading_at)
                times.extend(generation.respawn_at.values())
                if generation.template is Template.ABSENT:
                    times.append(generation.template_retry_at or math.inf)
        return min(times)

    def member(self, serial: int) -> Member | None:
        """The member with this serial, if it lives."""
        for generation in self._generations_alive():
            member = generation.members.get(serial)
            if member is not None:
                return member
        return None

    # -- requests ------------------------------------------------------------------

    def _begin(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.Begin)
        self.current = self._new_generation(event.plan)

    def _asked(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.Asked)
        request = event.request
        why = f" ({event.why})" if event.why else ""
        if request in (Request.STOP, Request.BRUTAL_STOP):
            self._stop(brutal=request is Request.BRUTAL_STOP, why=why, now=now)
        elif self.is_stopping or self.current is None:
            self._log(f"{request.value}{why} ignored: the instance is stopping")
        elif request in _RELOADS:
            self._reload(request, why, now)
        elif request in _RETIREMENTS:
            self._retire_all(request, why)
        elif request is Request.PAUSE:
            self._pause(why)

    def _reload(self, request: Request, why: str, now: float) -> None:
        assert self.current is not None
        if self.current.plan.exit_on_reload:
            self._log(f"{request.value}{why}: exiting, as exit-on-reload asks")
            self._stop(brutal=request is Request.BRUTAL_RELOAD, why="", now=now)
            return
        if self.building is not None:
            self._log(f"generation {self.building.number} is given up for a newer one")
            self._drop(self.building, now)
            self.building = None
        self._generations += 1
        self._requested = (self._generations, request)
        self._log(f"{request.value}{why}: building generation {self._generations}")
        self._do(ev.LoadConfiguration(self._generations))

    def _retire_all(self, request: Request, why: str) -> None:
        assert self.current is not None
        role = _RETIREMENTS[request]
        self._log(f"{request.value}{why}")
        for member in self.current.members.values():
            if member.role is role and member.is_wanted:
                member.retire_reason = request.value
                member.retire_at_once = True
                if request is Request.BRUTAL_RELOAD_WORKERS:
                    member.mercy_s = 0.0

    def _pause(self, why: str) -> None:
        assert self.current is not None
        self.is_paused = not self.is_paused
        self._log(f"workers {'paused' if self.is_paused else 'resumed'}{why}")
        for member in self.current.members.values():
            if member.role is Role.WORKER and member.is_wanted:
                self._do(ev.Pause(member.serial, self.is_paused))

    def _stop(self, *, brutal: bool, why: str, now: float) -> None:
        if self.is_stopping and not brutal:
            return
        if not self.is_stopping:
            if not brutal:
                self._log("graceful shutdown triggered..." + why)
            else:
                self._log(f"stopping{why}...")
        self.is_stopping = True
        self._requested = None
        for generation in self._generations_alive():
            self._kill_template(generation)
            mercy = 0.0 if brutal else generation.plan.stop_mercy_s
            for member in list(generation.members.values()):
                if member.stage < Stage.DRAINING or brutal:
                    self._drain(member, "stop", mercy, now)

    # -- configuration and templates --------------------------------------------------

    def _configuration_loaded(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.ConfigurationLoaded)
        if self._requested is None or self._requested[0] != event.generation:
            self._do(ev.Forget(event.generation))
            return
        request = self._requested[1]
        self._requested = None
        generation = Generation(event.generation, event.plan)
        if self.current is not None and not self.current.served:
            # Nothing serves yet that would be worth keeping.
            self._drop(self.current, now)
            self.current = generation
            return
        if request is Request.CHAIN_RELOAD:
            generation.chain_at = 1
            self._log("chain reload starting...")
        self.building = generation
        if request is Request.BRUTAL_RELOAD and self.current is not None:
            for member in self.current.members.values():
                member.mercy_s = 0.0

    def _configuration_failed(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.ConfigurationFailed)
        if self._requested is None or self._requested[0] != event.generation:
            return
        self._requested = None
        self._log(event.message)
        self._log(
            f"generation {event.generation} failed: the configuration is wrong"
            + self._who_keeps_serving()
        )

    def _template_loaded(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.TemplateLoaded)
        generation = self._serving_generation(event.generation)
        if generation is None or generation.template is not Template.LOADING:
            return
        generation.still_loading_at = math.inf
        has_no_app = event.apps == 0 and not generation.plan.lazy_apps
        if event.error is not None or (has_no_app and generation.plan.need_app):
            why = event.error or "no application was loaded"
            if generation is self.building:
                self._fail(generation, why, NO_APP_STATUS, now)
                return
            if generation.served:
                self._kill_template(generation)
                self._template_retry(generation, now)
                self._log(f"the application cannot be loaded again: {why}")
                return
            if has_no_app and generation.plan.need_app:
                self._log("*** no app loaded. GAME OVER ***")
                self._fail(generation, why, NO_APP_STATUS, now)
                return
        generation.template = Template.LOADED
        generation.template_failures = 0

    def _template_exited(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.TemplateExited)
        if generation := self._find(event.generation):
            was, generation.template = generation.template, Template.ABSENT
            was_ours, generation.template_is_dying = generation.template_is_dying, False
            generation.still_loading_at = math.inf
            if was_ours or generation in self.former or self.is_stopping:
                return
            how = _how_it_ended(event.status)
            if was is Template.LOADED:
                self._log(
                    f"the template of generation {generation.number} {how}; "
                    "workers keep serving, another one is started"
                )
                if (
                    now - generation.template_started_at
                    < generation.plan.respawn_delay_s
                ):
                    self._template_retry(generation, now)
            elif generation.served or (generation is self.current and _is_kill(event)):
                self._log(f"the template {how} while it loaded the application")
                self._template_retry(generation, now)
            else:
                status = event.status if event.status and event.status > 0 else 1
                self._fail(generation, f"its template {how}", status, now)

    def _template_retry(self, generation: Generation, now: float) -> None:
        generation.template_failures += 1
        delay = generation.plan.respawn_delay_s * 2 ** (
            generation.template_failures - 1
        )
        generation.template_retry_at = now + min(delay, MAX_TEMPLATE_DELAY_S)

    # -- members -----------------------------------------------------------------------

    def _member_started(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberStarted)
        member = self.member(event.serial)
        if member is None:
            return
        member.pid = event.pid
        if member.stage is not Stage.ORDERED:
            return
        member.stage = Stage.STARTING
        generation = self._find(member.generation)
        assert generation is not None
        if generation.spawns[member.place] > 1:
            self._log(f"Respawned uWSGI {member} (new pid: {member.pid})")
        elif member.role is Role.WORKER:
            cores = generation.plan.cores
            self._log(f"spawned uWSGI {member} (pid: {member.pid}, cores: {cores})")
        else:
            self._log(f"spawned uWSGI {member} (pid: {member.pid})")

    def _member_ready(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberReady)
        member = self.member(event.serial)
        if member is not None and member.stage < Stage.READY:
            member.stage = Stage.READY
            generation = self._find(member.generation)
            assert generation is not None
            generation.served = True

    def _member_failed(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberFailed)
        member = self.member(event.serial)
        building = self.building
        if member is None or building is None:
            return
        if member.generation == building.number:
            self._fail(building, event.error, NO_APP_STATUS, now)

    def _member_retires(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberRetires)
        member = self.member(event.serial)
        if member is not None and member.is_wanted and not member.retire_reason:
            member.retire_reason = event.reason
            self._log(f"{member} (pid: {member.pid}) is due for {event.reason}")

    def _member_lost(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberLost)
        member = self.member(event.serial)
        if member is not None:
            member.lost = True
            member.kill_at = min(member.kill_at, now + LOST_MARGIN_S)

    def _member_exited(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberExited)
        member = self.member(event.serial)
        if member is None:
            return
        generation = self._find(member.generation)
        assert generation is not None
        del generation.members[member.serial]
        if not member.is_wanted:
            if member.pid:
                seconds = int(now - member.drained_at) + 1
                self._log(f"{member} buried after {seconds} seconds")
            return
        if not member.pid:
            # The order was lost, with the template or for want of descriptors.
            generation.respawn_at[member.place] = now + LOST_ORDER_S
            return
        if event.status == RELOAD_STATUS:
            return
        self._log_death(member, event.status)
        if event.status == NO_APP_STATUS and not generation.served:
            self._log("need-app requested, destroying the instance...")
            self._fail(generation, "no application was loaded", NO_APP_STATUS, now)
            return
        if member.stage < Stage.READY:
            generation.boot_failures += 1
            if (
                generation is self.building
                and generation.boot_failures >= MAX_BOOT_FAILURES
            ):
                self._fail(generation, "its workers die before they are ready", 1, now)
                return
        delay = generation.plan.respawn_delay_s
        if now - member.forked_at < delay:
            self._log(
                f"{member.role.value} respawning too fast !!! "
                f"i have to sleep a bit ({delay:g} seconds)..."
            )
            generation.respawn_at[member.place] = now + delay

    def _log_death(self, member: Member, status: int | None) -> None:
        if status == NO_APP_STATUS:
            self._log(f"OOPS ! failed loading app in {member} (pid {member.pid})")
            return
        how = ""
        if status is not None and status < 0:
            how = f", killed by signal {-status}"
        elif status:
            how = f", exited with status {status}"
        self._log(
            f"DAMN ! {member} (pid: {member.pid}) died{how} :( trying respawn ..."
        )

    # -- what time brings --------------------------------------------------------------

    def _check_times(self, now: float) -> None:
        for generation in self._generations_alive():
            for member in generation.members.values():
                if now >= member.kill_at:
                    self._kill(member, now)
                if now >= member.expires_at and member.is_wanted:
                    member.expires_at = math.inf
                    if not member.retire_reason:
                        member.retire_reason = "max-worker-lifetime"
                        self._log(
                            f"{member} (pid: {member.pid}) reached max-worker-lifetime"
                        )
            if now >= generation.still_loading_at and not self.is_stopping:
                seconds = now - generation.template_started_at
                self._log(
                    f"the application of generation {generation.number} is still "
                    f"loading after {seconds:.0f} seconds" + self._who_keeps_serving()
                )
                generation.still_loading_at = now + seconds

    def _kill(self, member: Member, now: float) -> None:
        if member.pid and member.stage is Stage.DRAINING:
            self._log(
                f"{member} (pid: {member.pid}) does not end by itself...NO MERCY !!!"
            )
        if not member.lost or member.pid:
            self._do(ev.Kill(member.serial))
        if member.stage is Stage.DRAINING:
            member.stage = Stage.KILLED
        member.kill_at = now + BRUTAL_MARGIN_S

    # -- from what is there to what should be there ------------------------------------

    def _reconcile(self, now: float) -> None:
        if not self.is_stopping:
            if self.current is not None:
                self._fill(self.current, now)
            if self.building is not None:
                self._fill(self.building, now)
                self._advance(self.building, now)
        for generation in list(self.former):
            if not generation.members and generation.template is Template.ABSENT:
                self.former.remove(generation)
                self._do(ev.Forget(generation.number))
        if self.is_stopping and not any(g.members for g in self._generations_alive()):
            self._do(ev.Exit(self._exit_status))
            self._exited = True

    def _fill(self, generation: Generation, now: float) -> None:
        if generation.template is Template.ABSENT and not generation.template_is_dying:
            if now < generation.template_retry_at:
                return
            generation.template = Template.LOADING
            generation.template_started_at = now
            generation.still_loading_at = now + STILL_LOADING_S
            self._do(ev.StartTemplate(generation.number))
        for place in generation.places():
            if not self._is_held_by_chain(generation, place):
                self._fill_place(generation, place, now)
        for member in list(generation.members.values()):
            if member.is_wanted and member.number > generation.wanted.get(
                member.role, 0
            ):
                self._drain(member, "not needed", None, now)

    def _is_held_by_chain(self, generation: Generation, place: Place) -> bool:
        """Whether a chain reload forbids forks at ``place`` for now."""
        role, number = place
        if (
            self.building is None
            or not self.building.chain_at
            or role is not Role.WORKER
        ):
            return False
        if generation is self.building:
            return number > generation.chain_at
        successors = self.building.wanted_at(place)
        return any(member.stage is Stage.SERVING for member in successors)

    def _fill_place(self, generation: Generation, place: Place, now: float) -> None:
        holders = generation.wanted_at(place)
        if not holders:
            self._fork(generation, place, now)
            return
        newest = holders[-1]
        if newest.stage is Stage.READY and self._may_serve(generation, place):
            newest.stage = Stage.SERVING
            self._do(ev.Serve(newest.serial))
            if self.is_paused and newest.role is Role.WORKER:
                self._do(ev.Pause(newest.serial, True))
        if len(holders) > 1:
            if newest.stage >= Stage.READY:
                for older in holders[:-1]:
                    self._drain(older, older.retire_reason or "replaced", None, now)
        elif newest.retire_reason and self._may_replace(generation, newest):
            self._fork(generation, place, now)

    def _may_serve(self, generation: Generation, place: Place) -> bool:
        if generation is self.current:
            return True
        role, number = place
        return role is Role.WORKER and 0 < number <= generation.chain_at

    def _may_replace(self, generation: Generation, member: Member) -> bool:
        if generation is not self.current or self.building is not None:
            return False  # the next generation replaces it anyway
        return member.retire_at_once or generation.replacements_under_way() == 0

    def _fork(self, generation: Generation, place: Place, now: float) -> None:
        if generation.template is not Template.LOADED:
            return
        if now < generation.respawn_at.get(place, 0.0):
            return
        generation.respawn_at.pop(place, None)
        slot = generation.free_slot()
        if slot is None:
            return  # until one of those that drain has ended
        self._serials += 1
        role, number = place
        spawns = generation.spawns[place] = generation.spawns.get(place, 0) + 1
        member = Member(self._serials, generation.number, role, number, slot, now)
        plan = generation.plan
        if role is Role.WORKER and plan.max_lifetime_s:
            lifetime = plan.max_lifetime_s + number * plan.max_lifetime_delta_s
            member.expires_at = now + lifetime
        generation.members[member.serial] = member
        self._do(ev.Fork(generation.number, member.serial, slot, role, number, spawns))

    def _advance(self, building: Generation, now: float) -> None:
        if building.chain_at:
            self._advance_chain(building, now)
        if not building.chain_at and building.is_complete():
            self._promote(building, now)

    def _advance_chain(self, building: Generation, now: float) -> None:
        assert self.current is not None
        while building.chain_at <= building.wanted.get(Role.WORKER, 0):
            place = (Role.WORKER, building.chain_at)
            if not any(m.stage is Stage.SERVING for m in building.wanted_at(place)):
                return
            victims = self.current.at(place)
            for victim in victims:
                if victim.is_wanted:
                    self._log(f"chain next victim is {victim}")
                    self._drain(victim, "chain reload", None, now)
            if victims:
                return
            building.chain_at += 1
            self._fill(building, now)
        if building.is_complete():
            building.chain_at = 0
            self._log("chain reloading complete")

    def _promote(self, building: Generation, now: float) -> None:
        former, self.current, self.building = self.current, building, None
        self._log(f"generation {building.number} is ready and takes over")
        self._do(ev.Promote(building.number))
        self._fill(building, now)
        if former is not None:
            self._drop(former, now, reason="reload")

    def _fail(self, generation: Generation, why: str, status: int, now: float) -> None:
        """Give ``generation`` up; if there is no other one, the instance ends."""
        if generation is self.building:
            self.building = None
            self._drop(generation, now)
            self._log(
                f"generation {generation.number} failed: {why}"
                + self._who_keeps_serving()
            )
            return
        self._log(f"the instance cannot start: {why}")
        self._exit_status = status
        self._stop(brutal=True, why="", now=now)

    def _drop(self, generation: Generation, now: float, reason: str = "stop") -> None:
        """End everything of ``generation``, its members with mercy."""
        self.former.append(generation)
        self._kill_template(generation)
        for member in list(generation.members.values()):
            if member.is_wanted:
                self._drain(member, reason, None, now)

    def _kill_template(self, generation: Generation) -> None:
        if (
            generation.template is not Template.ABSENT
            and not generation.template_is_dying
        ):
            generation.template_is_dying = True
            generation.still_loading_at = math.inf
            self._do(ev.KillTemplate(generation.number))

    def _drain(
        self, member: Member, reason: str, mercy_s: float | None, now: float
    ) -> None:
        generation = self._find(member.generation)
        assert generation is not None
        if mercy_s is None:
            mercy_s = member.mercy_s
        if mercy_s is None:
            mercy_s = generation.plan.mercy_s(member.role)
        member.stage = Stage.DRAINING
        member.drained_at = now
        member.kill_at = now + mercy_s + (KILL_MARGIN_S if mercy_s else BRUTAL_MARGIN_S)
        self._do(ev.Drain(member.serial, reason, mercy_s))

    # -- small things ------------------------------------------------------------------

    def _new_generation(self, plan: Plan) -> Generation:
        self._generations += 1
        return Generation(self._generations, plan)

    def _generations_alive(self) -> list[Generation]:
        present = (self.current, self.building, *self.former)
        return [generation for generation in present if generation is not None]

    def _find(self, number: int) -> Generation | None:
        for generation in self._generations_alive():
            if generation.number == number:
                return generation
        return None

    def _serving_generation(self, number: int) -> Generation | None:
        generation = self._find(number)
        return None if generation in self.former or self.is_stopping else generation

    def _who_keeps_serving(self) -> str:
        if self.current is None or not self.current.served:
            return ""
        return f"; generation {self.current.number} keeps serving"

    def _do(self, action: Action) -> None:
        self._actions.append(action)

    def _log(self, line: str) -> None:
        self._do(ev.Log(line))


def _is_kill(event: ev.TemplateExited) -> bool:
    return event.status is not None and event.status < 0


def _how_it_ended(status: int | None) -> str:
    if status is None:
        return "ended"
    if status < 0:
        return f"was killed by signal {-status}"
    return f"exited with status {status}"


_RELOADS: Final = frozenset(
    {Request.RELOAD, Request.BRUTAL_RELOAD, Request.CHAIN_RELOAD}
)
_RETIREMENTS: Final = {
    Request.RELOAD_WORKERS: Role.WORKER,
    Request.BRUTAL_RELOAD_WORKERS: Role.WORKER,
    Request.RELOAD_MULES: Role.MULE,
    Request.RELOAD_SPOOLERS: Role.SPOOLER,
}
