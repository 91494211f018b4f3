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
* Whoever dies soon after its fork, twice in a row, is forked again only after a delay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from geuwsgi.master import events as ev
from geuwsgi.master.deaths import how_it_ended, status_in_words
from geuwsgi.master.events import Action, Event, Request
from geuwsgi.master.filling import Filling
from geuwsgi.master.fleet import Fleet
from geuwsgi.master.generation import Generation, Member, Stage, Template
from geuwsgi.master.plan import Role

NO_APP_STATUS: Final = 22  # uWSGI: need-app
RELOAD_STATUS: Final = 17  # uWSGI: a worker that was asked to reload

LOST_MARGIN_S: Final = 3.0  # from closing the channel to being dead
LOST_ORDER_S: Final = 0.2  # until a fork that did not happen is ordered again
MAX_BOOT_FAILURES: Final = 3  # then a generation that is being built is given up


class Policy:
    """The life of one instance.

    ``handle`` must be called again at ``next_deadline()`` with a ``Tick`` at the
    latest. After an ``Exit`` action nothing more comes.
    """

    def __init__(self) -> None:
        self.fleet = Fleet()
        self.filling = Filling(self.fleet)
        self.is_stopping = False
        self._requested: tuple[int, Request] | None = None  # being configured
        self._exit_status = 0
        self._exited = False
        self._now = -math.inf
        self._stop_at = math.inf  # the end of drain-delay
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
            ev.MemberHangs: self._member_hangs,
            ev.MemberLost: self._member_lost,
            ev.Resize: self._resize,
            ev.MemberExited: self._member_exited,
        }

    @property
    def is_leaving(self) -> bool:
        """Whether the instance ends, or will when drain-delay is over."""
        return self.is_stopping or self._stop_at != math.inf

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take one event, return what to do, in order."""
        if self._exited:
            return []
        self._now = now
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event, now)
        self._check_times(now)
        self._reconcile(now)
        return self.fleet.take_actions()

    def next_deadline(self) -> float:
        """When ``Tick`` must come at the latest; infinity if nothing is pending."""
        deadline = self.fleet.next_deadline(self._now, is_stopping=self.is_stopping)
        return min(deadline, self._stop_at)

    # -- requests ------------------------------------------------------------------

    def _begin(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.Begin)
        self.fleet.begin(event.plan)

    def _asked(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.Asked)
        request = event.request
        why = f" ({event.why})" if event.why else ""
        current = self.fleet.current
        if request in (Request.STOP, Request.BRUTAL_STOP):
            self._stop(brutal=request is Request.BRUTAL_STOP, why=why, now=now)
        elif self.is_stopping or current is None:
            self.fleet.log(f"{request.value}{why} ignored: the instance is stopping")
        elif request in ev.RELOADS:
            self._reload(current, request, why, now)
        elif request in ev.RETIREMENTS:
            self._retire_all(current, request, why)
        elif request is Request.PAUSE:
            self._pause(current, why)
        else:
            self._change_size(current, request, why)

    def _change_size(self, current: Generation, request: Request, why: str) -> None:
        most = current.plan.members[Role.WORKER]
        wanted = current.wanted[Role.WORKER]
        if request is Request.CHEAP:
            size = 0
        else:
            step = 1 if request is Request.MORE_WORKERS else -1
            size = min(max(wanted + step, 1), most)
        if size == wanted:
            self.fleet.log(
                f"{request.value}{why} ignored: there are {wanted} of {most}"
            )
        else:
            self.fleet.log(f"{request.value}{why}: {wanted} workers become {size}")
            current.wanted[Role.WORKER] = size

    def _reload(
        self, current: Generation, request: Request, why: str, now: float
    ) -> None:
        fleet = self.fleet
        if current.plan.exit_on_reload:
            fleet.log(f"{request.value}{why}: exiting, as exit-on-reload asks")
            self._stop(brutal=request is Request.BRUTAL_RELOAD, why="", now=now)
            return
        self._give_up_building("a newer one", now)
        number = fleet.next_number()
        self._requested = (number, request)
        fleet.log(f"{request.value}{why}: building generation {number}")
        fleet.do(ev.LoadConfiguration(number))

    def _give_up_building(self, why: str, now: float) -> None:
        building, self.fleet.building = self.fleet.building, None
        if building is not None:
            self.fleet.log(f"generation {building.number} is given up for {why}")
            self.fleet.drop(building, "stop", now)

    def _retire_all(self, current: Generation, request: Request, why: str) -> None:
        role = ev.RETIREMENTS[request]
        self.fleet.log(f"{request.value}{why}")
        for member in current.members.values():
            if member.role is role and member.is_wanted:
                member.retire_reason = request.value
                member.retire_at_once = True
                if request is Request.BRUTAL_RELOAD_WORKERS:
                    member.mercy_s = 0.0

    def _pause(self, current: Generation, why: str) -> None:
        self.filling.is_paused = not self.filling.is_paused
        self.fleet.log(
            f"workers {'paused' if self.filling.is_paused else 'resumed'}{why}"
        )
        for member in current.members.values():
            if member.role is Role.WORKER and member.stage is Stage.SERVING:
                self.fleet.do(ev.Pause(member.serial, self.filling.is_paused))

    def _stop(self, *, brutal: bool, why: str, now: float) -> None:
        if self.is_stopping and not brutal:
            return
        if not brutal and self._stop_at == math.inf:
            delay_s = max(g.plan.drain_delay_s for g in self.fleet.generations())
            if delay_s:
                self._announce_stop(delay_s, why, now)
                return
        self._stop_at = math.inf
        if not self.is_stopping:
            how = "stopping" if brutal else "graceful shutdown triggered"
            self.fleet.log(f"{how}{why}...")
        self.is_stopping = True
        self._requested = None
        for generation in self.fleet.generations():
            self.fleet.kill_template(generation)
            mercy_s = 0.0 if brutal else generation.plan.stop_mercy_s
            for member in generation.members.values():
                if member.is_wanted or brutal:
                    self.fleet.drain(member, "stop", now, mercy_s)

    def _announce_stop(self, delay_s: float, why: str, now: float) -> None:
        """Go on for ``delay_s`` seconds, so that balancers can look elsewhere."""
        self.fleet.log(f"shutting down in {delay_s:g} seconds{why}")
        self._stop_at = now + delay_s
        for generation in self.fleet.generations():
            for member in generation.members.values():
                if member.is_wanted:
                    self.fleet.do(ev.Announce(member.serial))

    # -- configuration and templates -----------------------------------------------

    def _configuration_loaded(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.ConfigurationLoaded)
        fleet = self.fleet
        if self._requested is None or self._requested[0] != event.generation:
            fleet.do(ev.Forget(event.generation))
            return
        request = self._requested[1]
        self._requested = None
        generation = Generation(event.generation, event.plan)
        fleet.building = generation
        if request is Request.CHAIN_RELOAD:
            generation.chain_at = 1
            fleet.log("chain reload starting...")
        if request is Request.BRUTAL_RELOAD and fleet.current is not None:
            for member in fleet.current.members.values():
                member.mercy_s = 0.0

    def _configuration_failed(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.ConfigurationFailed)
        if self._requested is None or self._requested[0] != event.generation:
            return
        self._requested = None
        self.fleet.log(event.message)
        self.fleet.log(
            f"generation {event.generation} failed: it cannot be configured"
            + self._who_keeps_serving()
        )

    def _template_loaded(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.TemplateLoaded)
        generation = self.fleet.find(event.generation)
        if generation is None or self.fleet.is_ending(generation) or self.is_stopping:
            return
        generation.still_loading_at = math.inf
        lacks_app = (
            event.apps == 0
            and generation.plan.need_app
            and not generation.plan.lazy_apps
        )
        why = event.error or ("no application was loaded" if lacks_app else "")
        if why and generation is self.fleet.building:
            self._fail(generation, why, NO_APP_STATUS, now)
        elif why and generation.served:
            # What serves was loaded from code that has changed since.
            self.fleet.kill_template(generation)
            self.fleet.delay_template(generation, now)
            self.fleet.log(f"the application cannot be loaded again: {why}")
        elif lacks_app:
            self._fail(generation, why, NO_APP_STATUS, now)
        else:
            generation.template = Template.LOADED
            generation.template_failures = 0
            if not any(generation.wanted.values()):
                generation.served = True  # cheap: it is all there is to be ready

    def _template_exited(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.TemplateExited)
        fleet = self.fleet
        generation = fleet.find(event.generation)
        if generation is None:
            return
        was_loaded = generation.template is Template.LOADED
        was_ours = generation.template_is_dying
        generation.template = Template.ABSENT
        generation.template_is_dying = False
        generation.still_loading_at = math.inf
        if was_ours or self.is_stopping:
            return
        how = how_it_ended(event.status)
        if was_loaded:
            fleet.log(
                f"the template of generation {generation.number} {how}; "
                "workers keep serving, another one is started"
            )
            if now - generation.template_started_at < generation.plan.respawn_delay_s:
                fleet.delay_template(generation, now)
        elif generation.served or (
            generation is fleet.current
            and event.status is not None
            and event.status < 0
        ):
            fleet.log(f"the template {how} while it loaded the application")
            fleet.delay_template(generation, now)
        else:
            status = event.status if event.status and event.status > 0 else 1
            self._fail(generation, f"its template {how}", status, now)

    # -- members -------------------------------------------------------------------

    def _member_started(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberStarted)
        member = self.fleet.member(event.serial)
        if member is None:
            return
        member.pid = event.pid
        if member.stage is not Stage.ORDERED:
            return
        member.stage = Stage.STARTING
        generation = self.fleet.of(member)
        if generation.spawns[member.place] > 1:
            self.fleet.log(f"Respawned uWSGI {member} (new pid: {member.pid})")
        elif member.role is Role.WORKER:
            cores = generation.plan.cores
            self.fleet.log(
                f"spawned uWSGI {member} (pid: {member.pid}, cores: {cores})"
            )
        else:
            self.fleet.log(f"spawned uWSGI {member} (pid: {member.pid})")

    def _member_ready(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberReady)
        member = self.fleet.member(event.serial)
        if member is not None and member.stage < Stage.READY:
            member.stage = Stage.READY
            self.fleet.of(member).served = True

    def _member_failed(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberFailed)
        member = self.fleet.member(event.serial)
        building = self.fleet.building
        if member is None or building is None:
            return
        if member.generation == building.number:
            self._fail(building, event.error, NO_APP_STATUS, now)

    def _member_retires(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberRetires)
        member = self.fleet.member(event.serial)
        if member is not None and member.is_wanted and not member.retire_reason:
            member.retire_reason = event.reason
            if event.brutal:
                member.mercy_s = 0.0
            self.fleet.log(f"{member} (pid: {member.pid}) is due for {event.reason}")

    def _member_hangs(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberHangs)
        member = self.fleet.member(event.serial)
        if member is not None:
            self.fleet.kill(member, now)

    def _resize(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.Resize)
        generation = self.fleet.find(event.generation)
        if generation is None or generation is not self.fleet.current:
            return
        workers = min(max(event.workers, 0), generation.plan.members[Role.WORKER])
        if workers != generation.wanted[Role.WORKER]:
            generation.wanted[Role.WORKER] = workers
            if event.why:
                self.fleet.log(event.why)

    def _member_lost(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberLost)
        member = self.fleet.member(event.serial)
        if member is not None:
            member.kill_at = min(member.kill_at, now + LOST_MARGIN_S)

    def _member_exited(self, event: Event, now: float) -> None:
        assert isinstance(event, ev.MemberExited)
        fleet = self.fleet
        member = fleet.member(event.serial)
        if member is None:
            return
        generation = fleet.of(member)
        del generation.members[member.serial]
        if not member.is_wanted:
            if member.pid:
                seconds = int(now - member.drained_at) + 1
                fleet.log(f"{member} buried after {seconds} seconds")
        elif not member.pid:
            # The order was lost, with the template or for want of descriptors.
            generation.respawn_at[member.place] = now + LOST_ORDER_S
            self._fails_to_boot(generation, "its processes cannot be forked", now)
        elif event.status != RELOAD_STATUS:
            self._died(member, generation, event.status, now)
        dies = generation.plan.die_on_no_workers and member.role is Role.WORKER
        if dies and not self.is_stopping and not fleet.has_members(Role.WORKER):
            self._stop(brutal=True, why=" (no more workers running)", now=now)

    def _died(
        self, member: Member, generation: Generation, status: int | None, now: float
    ) -> None:
        """``member`` has ended and nobody had asked for it."""
        fleet = self.fleet
        if status == NO_APP_STATUS:
            fleet.log(f"OOPS ! failed loading app in {member} (pid {member.pid})")
            if not generation.served or generation is fleet.building:
                fleet.log("need-app requested, destroying the instance...")
                self._fail(generation, "no application was loaded", status, now)
                return
        else:
            how = status_in_words(status)
            fleet.log(
                f"DAMN ! {member} (pid: {member.pid}) died{how} :( trying respawn ..."
            )
        if member.stage < Stage.READY and self._fails_to_boot(
            generation, "its workers die before they are ready", now
        ):
            return
        self._throttle(member, generation, now)

    def _fails_to_boot(self, generation: Generation, why: str, now: float) -> bool:
        """One more of a generation that is being built failed: too many, perhaps."""
        if generation is not self.fleet.building:
            return False
        generation.boot_failures += 1
        if generation.boot_failures < MAX_BOOT_FAILURES:
            return False
        self._fail(generation, why, 1, now)
        return True

    def _throttle(self, member: Member, generation: Generation, now: float) -> None:
        delay = generation.plan.respawn_delay_s
        place = member.place
        if now - member.forked_at >= delay:
            generation.early_deaths.pop(place, None)
            return
        deaths = generation.early_deaths[place] = (
            generation.early_deaths.get(place, 0) + 1
        )
        if deaths > 1:
            self.fleet.log(
                f"{member.role.value} respawning too fast !!! "
                f"i have to sleep a bit ({delay:g} seconds)..."
            )
            generation.respawn_at[place] = now + delay

    # -- what time brings ----------------------------------------------------------

    def _check_times(self, now: float) -> None:
        if now >= self._stop_at:
            self._stop(brutal=False, why="", now=now)
        for generation in self.fleet.generations():
            for member in generation.members.values():
                if now >= member.kill_at:
                    self.fleet.kill(member, now)
                if now >= member.expires_at and member.is_wanted:
                    member.expires_at = math.inf
                    self._member_retires(
                        ev.MemberRetires(member.serial, "max-worker-lifetime"), now
                    )
            if now >= generation.still_loading_at:
                seconds = now - generation.template_started_at
                self.fleet.log(
                    f"the application of generation {generation.number} is still "
                    f"loading after {seconds:.0f} seconds" + self._who_keeps_serving()
                )
                generation.still_loading_at = now + seconds

    # -- the whole ------------------------------------------------------------------

    def _reconcile(self, now: float) -> None:
        fleet = self.fleet
        if not self.is_stopping:
            if fleet.current is not None:
                self.filling.fill(fleet.current, now)
            if fleet.building is not None:
                self.filling.fill(fleet.building, now)
                self.filling.advance(fleet.building, now)
        fleet.forget_ended()
        if self.is_stopping and not fleet.has_members():
            fleet.do(ev.Exit(self._exit_status))
            self._exited = True

    def _fail(self, generation: Generation, why: str, status: int, now: float) -> None:
        """Give ``generation`` up; if there is no other one, the instance ends."""
        fleet = self.fleet
        if generation is fleet.building:
            fleet.building = None
            fleet.drop(generation, "stop", now)
            fleet.log(
                f"generation {generation.number} failed: {why}"
                + self._who_keeps_serving()
            )
        elif generation is fleet.current and fleet.building is not None:
            # It never served, and a newer one is on its way.
            fleet.log(f"generation {generation.number} failed: {why}")
            fleet.current, fleet.building = fleet.building, None
            fleet.current.chain_at = 0
            fleet.do(ev.Promote(fleet.current.number))
            fleet.drop(generation, "stop", now)
        elif generation is fleet.current:
            fleet.log(f"the instance cannot start: {why}")
            self._exit_status = status
            self._stop(brutal=True, why="", now=now)

    def _who_keeps_serving(self) -> str:
        current = self.fleet.current
        if current is None or not current.served:
            return ""
        return f"; generation {current.number} keeps serving"
