"""The master's loop: it carries out what the policy decides, and tells it what happens.

One thread, one selector. Everything that may take long is done by other processes;
everything that happens becomes an event; every decision is the policy's. The master
imports neither gevent nor the application.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from geuwsgi.background.alarms import raiser
from geuwsgi.errors import GeuwsgiError
from geuwsgi.log.output import Output
from geuwsgi.log.stderr import log
from geuwsgi.master import events as ev
from geuwsgi.master.crew import Crew, signal_process
from geuwsgi.master.duties import make_duties
from geuwsgi.master.duty import Duty, Word
from geuwsgi.master.events import Action, Event, Request
from geuwsgi.master.generation import Stage
from geuwsgi.master.inquiry import Deliver, Inquiries
from geuwsgi.master.plan import Role
from geuwsgi.master.policy import Policy
from geuwsgi.master.prepared import Prepare, Prepared
from geuwsgi.master.processes import MemberProcess
from geuwsgi.master.signals import SignalQueue
from geuwsgi.master.spawn import signal_group
from geuwsgi.options import Settings
from geuwsgi.shared import scoreboard as sb
from geuwsgi.worker.hooks import HookRunner, actions_of
from geuwsgi.worker.messages import Kind

LISTENED: Final = (
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGTSTP,
    signal.SIGUSR1,
)

_REQUESTS: Final = {
    signal.SIGHUP: Request.RELOAD,
    signal.SIGINT: Request.BRUTAL_STOP,
    signal.SIGQUIT: Request.BRUTAL_STOP,
    signal.SIGTERM: Request.STOP,
    signal.SIGTSTP: Request.PAUSE,
}


# What unix_signal of hook-master-start may bind: uWSGI's functions.
SIGNAL_FUNCTIONS: Final = {
    "gracefully_kill_them_all": Request.STOP,
    "kill_them_all": Request.BRUTAL_STOP,
    "grace_them_all": Request.RELOAD,
    "reap_them_all": Request.BRUTAL_RELOAD,
    "suspend_resume_them_all": Request.PAUSE,
}


class Master:
    """The supervisor of one instance, from the first fork to the exit status."""

    def __init__(
        self,
        first: Prepared,
        prepare: Prepare,
        *,
        output: Output,
        started_on: int,
        title: str = "",
        when_serving: Callable[[], None] = lambda: None,
        write_pidfiles: Callable[[], None] = lambda: None,
    ) -> None:
        self._write_pidfiles = write_pidfiles
        self._prepare = prepare
        self._when_serving = when_serving
        self._output = output
        self._started_on = started_on
        self._title = title
        self._policy = Policy()
        self._prepared = {first.number: first}
        self._current = first.number
        self._selector = selectors.DefaultSelector()
        self._crew = Crew(self._selector, self._put, log)
        self._crew.handlers[Kind.RELOAD] = lambda member, _: self.ask(
            Request.RELOAD, f"the application in {member}"
        )
        self._crew.handlers[Kind.SHUTDOWN] = lambda member, _: self.ask(
            Request.STOP, f"the application in {member}"
        )
        self._inquiries = Inquiries(self._crew, time.monotonic)
        self._crew.handlers[Kind.ANSWER] = self._inquiries.answered
        self._crew.on_sources = self._learn_sources
        self._duties: list[Duty] = []
        self._expected: dict[int, Callable[[int], None]] = {}
        self._requests = dict(_REQUESTS)
        if not first.settings.reload.die_on_term:
            self._requests[signal.SIGTERM] = Request.BRUTAL_RELOAD
        self._dismissed: dict[int, float] = {}
        self._next_tick = 0.0
        self._queue: deque[Event] = deque()
        self._exit_status: int | None = None
        self._actions: dict[type, Callable[[Any], None]] = {
            ev.LoadConfiguration: self._load_configuration,
            ev.StartTemplate: self._start_template,
            ev.KillTemplate: lambda a: self._crew.kill_template(a.generation),
            ev.Fork: lambda a: self._crew.fork(self._prepared[a.generation], a),
            ev.Serve: lambda a: self._crew.tell(a.serial, Kind.SERVE),
            ev.Drain: lambda a: self._crew.tell(
                a.serial, Kind.DRAIN, reason=a.reason, deadline_s=a.deadline_s
            ),
            ev.Announce: lambda a: self._crew.tell(a.serial, Kind.ANNOUNCE),
            ev.Pause: lambda a: self._crew.tell(a.serial, Kind.PAUSE, paused=a.paused),
            ev.Kill: lambda a: self._crew.kill(a.serial),
            ev.Promote: self._promote,
            ev.Forget: self._forget,
            ev.Log: lambda a: log(a.line),
            ev.Exit: self._exit,
        }

    def run(self) -> int:
        """Supervise until the instance ends; return the exit status.

        Whatever happens, no process of the instance is left behind.
        """
        signals = SignalQueue(LISTENED)
        self._selector.register(
            signals, selectors.EVENT_READ, lambda mask: self._signals(signals)
        )
        for fileno in self._output.readers:
            self.watch(fileno, lambda fileno=fileno: self._output.read(fileno))  # type: ignore[misc]
        try:
            self._change_duties()
            self._run_start_hooks(signals)
            self._put(ev.Begin(self._prepared[self._current].plan))
            while True:
                self._settle()
                if self._exit_status is not None:
                    return self._exit_status
                for key, mask in self._selector.select(self._patience()):
                    self._guard(key.data, mask)
                self._put(ev.Tick())
                self._tick(time.monotonic())
        finally:
            self._end_duties()
            self._await_dismissed()
            self._crew.end()
            self._close_generations()
            self._selector.unregister(signals)
            signals.close()
            self._selector.close()

    def _run_start_hooks(self, signals: SignalQueue) -> None:
        """hook-master-start. Raises StartupError."""

        def bind(number: int, function: str) -> None:
            request = SIGNAL_FUNCTIONS.get(function)
            if request is None:
                known = ", ".join(sorted(SIGNAL_FUNCTIONS))
                raise ValueError(f"no function {function!r} (known: {known})")
            self._requests[signals.listen(number)] = request

        prepared = self._prepared[self._current]
        alarm = raiser(prepared.commons.mailboxes)
        runner = HookRunner(log, prepared.environ, bind, alarm)
        runner.run("master_start", actions_of(prepared.settings.hooks, "master_start"))

    # -- what duties may ask for (duty.Desk) -------------------------------------------

    def ask(self, request: Request, why: str) -> None:
        self._put(ev.Asked(request, why))

    def put(self, event: Event) -> None:
        self._put(event)

    def serving_workers(self) -> list[MemberProcess]:
        found = []
        for process in self._crew.members():
            member = self._policy.fleet.member(process.serial)
            if member is not None and member.stage is Stage.SERVING:
                found.append(process)
        return [process for process in found if process.role is Role.WORKER]

    def wanted_workers(self) -> int:
        current = self._policy.fleet.current
        if current is None:
            plan = self._prepared[self._current].plan
            first = plan.first_workers
            return plan.members[Role.WORKER] if first is None else first
        return current.wanted[Role.WORKER]

    def send_signal(self, member: MemberProcess, number: int) -> None:
        signal_process(member.pid, number)

    def watch(self, fileno: int, callback: Callable[[], None]) -> None:
        self._selector.register(fileno, selectors.EVENT_READ, lambda mask: callback())

    def unwatch(self, fileno: int) -> None:
        self._selector.unregister(fileno)

    def expect(self, pid: int, callback: Callable[[int], None]) -> None:
        self._expected[pid] = callback

    def inquire(self, name: str, deliver: Deliver) -> None:
        self._inquiries.ask(name, deliver)

    def raise_signal(self, number: int) -> None:
        router = self._prepared[self._current].commons.router
        if router is not None:
            router.send(number)

    def sections(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for duty in self._duties:
            found.update(duty.sections())
        return found

    def toggle_subscriptions(self) -> None:
        for duty in self._duties:
            duty.toggle_subscriptions()

    def hear_log(self, callback: Callable[[bytes], None] | None) -> None:
        self._output.hear(callback)

    def tell_duties(self, word: Word) -> None:
        for duty in self._duties:
            duty.hear(word)

    def reopen_logs(self) -> None:
        self._output.reopen()

    def rotate_logs(self) -> None:
        self._output.rotate()

    def write_pidfiles(self) -> None:
        self._write_pidfiles()

    def dismiss(self, pid: int, limit_s: float) -> None:
        self._dismissed[pid] = self.now() + limit_s
        self._expected[pid] = lambda status: None

    def now(self) -> float:
        return time.monotonic()

    def is_leaving(self) -> bool:
        return self._policy.is_leaving or self._exit_status is not None

    def is_ending(self) -> bool:
        return self._policy.is_stopping or self._exit_status is not None

    # -- events ------------------------------------------------------------------------

    def _put(self, event: Event) -> None:
        self._queue.append(event)

    def _settle(self) -> None:
        """Give the policy what is queued and do what it says, until all is quiet."""
        while self._queue and self._exit_status is None:
            event = self._queue.popleft()
            for action in self._policy.handle(event, time.monotonic()):
                self._guard(self._do, action)
            if self._policy.is_stopping:
                for prepared in self._prepared.values():
                    prepared.leave_ports()
        current = self._policy.fleet.current
        if current is not None and current.served:
            self._when_serving()
            for duty in self._duties:
                duty.serving()

    def _guard(self, step: Callable[[Any], None], argument: Any) -> None:
        """Take one step; a bug in it must not end the site."""
        try:
            step(argument)
        except Exception:
            log(traceback.format_exc().rstrip())

    def _do(self, action: Action) -> None:
        try:
            self._actions[type(action)](action)
        except OSError as exc:
            # Descriptors or processes are used up: the policy tries again later.
            log(f"cannot carry out {action}: {exc}")
            if isinstance(action, ev.StartTemplate):
                self._put(ev.TemplateExited(action.generation, None))
            elif isinstance(action, ev.Fork):
                self._put(ev.MemberExited(action.serial, None))

    def _patience(self) -> float:
        """How long nothing has to be done."""
        until = min(
            self._next_tick,
            self._policy.next_deadline(),
            self._inquiries.next_deadline(),
            *(duty.next_deadline() for duty in self._duties),
        )
        return max(0.0, until - time.monotonic())

    def _tick(self, now: float) -> None:
        self._guard(self._inquiries.tick, now)
        is_due = now >= self._next_tick
        for duty in self._duties:
            if is_due or now >= duty.next_deadline():
                self._guard(duty.tick, now)
        if not is_due:
            return
        interval = self._prepared[self._current].settings.process.check_interval
        self._next_tick = now + (interval or 1.0)
        self._guard(lambda _: self._output.tick(), None)
        self._crew.tick(now)
        self._kill_dismissed(now)

    def _signals(self, signals: SignalQueue) -> None:
        numbers = signals.read()
        for number in numbers:
            if number in self._requests:
                self.ask(self._request_of(number), number.name)
            elif number is signal.SIGUSR1:
                self.log_statistics()
        # Last: what kills the group kills workers too, and they died because of it.
        if signal.SIGCHLD in numbers:
            self._reap()

    def _request_of(self, number: signal.Signals) -> Request:
        request = self._requests[number]
        if request is Request.STOP and self._policy.is_stopping:
            return Request.BRUTAL_STOP  # asked twice
        return request

    def _reap(self) -> None:
        """Bury every child that has ended, known or not (the master may be PID 1)."""
        while True:
            try:
                pid, waited = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            status = os.waitstatus_to_exitcode(waited)
            self._dismissed.pop(pid, None)
            callback = self._expected.pop(pid, None)
            if callback is not None:
                self._guard(callback, status)
            else:
                self._crew.buried(pid, status)

    def _kill_dismissed(self, now: float) -> None:
        for pid, kill_at in self._dismissed.items():
            if now >= kill_at:
                signal_group(pid, signal.SIGKILL)

    def _await_dismissed(self) -> None:
        """Wait for the commands that were told to end, at the end of everything."""
        while self._dismissed:
            self._kill_dismissed(time.monotonic())
            self._reap()
            time.sleep(0.005)

    # -- actions -----------------------------------------------------------------------

    def _start_template(self, action: ev.StartTemplate) -> None:
        self._crew.start_template(
            self._prepared[action.generation],
            started_on=self._started_on,
            title=self._title,
            request_log_fd=self._output.request_fd,
        )

    def _load_configuration(self, action: ev.LoadConfiguration) -> None:
        number = action.generation
        try:
            prepared = self._prepare_checked(number)
        except (GeuwsgiError, OSError) as exc:
            self._put(ev.ConfigurationFailed(number, str(exc)))
        except Exception:
            self._put(ev.ConfigurationFailed(number, traceback.format_exc().rstrip()))
        else:
            self._prepared[number] = prepared
            self._put(ev.ConfigurationLoaded(number, prepared.plan))

    def _prepare_checked(self, number: int) -> Prepared:
        """Prepare a generation, and see that its duties can be made."""
        current = self._prepared[self._current]
        prepared = self._prepare(number, current)
        try:
            make_duties(prepared, started_on=self._started_on, log=log)
            self._follow_log(current.settings, prepared.settings)
        except BaseException:
            prepared.close_listeners(current.listeners)
            prepared.close(current)
            raise
        return prepared

    def _follow_log(self, former: Settings, settings: Settings) -> None:
        """Have the log go where a new configuration says; its template inherits it."""
        target = log_target(settings)
        if target and target != log_target(former):
            log(f"the log goes to {target} from here on")
            self._output.redirect(target)
        elif settings.logging.log_reopen:
            self._output.reopen()

    def _promote(self, action: ev.Promote) -> None:
        former, self._current = self._current, action.generation
        listeners = self._prepared[action.generation].listeners
        self._prepared[former].close_listeners(listeners)
        self._change_duties()

    def _forget(self, action: ev.Forget) -> None:
        prepared = self._prepared.pop(action.generation, None)
        if prepared is not None:
            current = self._prepared[self._current]
            prepared.close_listeners(current.listeners)
            prepared.close(current)

    def _close_generations(self) -> None:
        """What they share is closed once, with the current one."""
        current = self._prepared.pop(self._current)
        for prepared in self._prepared.values():
            prepared.close_listeners(current.listeners)
            prepared.close(current)
        current.close_listeners()
        current.close()

    def _exit(self, action: ev.Exit) -> None:
        self._exit_status = action.status

    # -- duties ------------------------------------------------------------------------

    def _change_duties(self) -> None:
        """Begin what the current generation asks for, end what it does not.

        Raises StartupError for a duty that cannot begin, if nothing serves yet.
        """
        former = {duty.key: duty for duty in self._duties if duty.key is not None}
        wanted = []
        for duty in make_duties(
            self._prepared[self._current], started_on=self._started_on, log=log
        ):
            kept = former.pop(duty.key, None)
            if kept is not None:
                kept.follow(duty)
            wanted.append(kept or duty)
        begun = [duty for duty in wanted if duty not in self._duties]
        for duty in reversed(self._duties):
            if duty not in wanted:
                self._guard(lambda _, duty=duty: duty.end(), None)  # type: ignore[misc]
        self._duties = wanted
        for duty in begun:
            if self._policy.fleet.current is None:
                duty.begin(self)
            else:
                self._guard(duty.begin, self)

    def _end_duties(self) -> None:
        for duty in reversed(self._duties):
            self._guard(lambda _, duty=duty: duty.end(), None)  # type: ignore[misc]
        self._duties = []

    def _learn_sources(self, files: dict[str, int]) -> None:
        for duty in self._duties:
            duty.learn_sources(files)

    # -- telling -----------------------------------------------------------------------

    def log_statistics(self) -> None:
        for member in self._crew.members():
            row = member.row
            log(
                f"{member} (pid: {member.pid}): {row[sb.REQUESTS]} requests, "
                f"{row[sb.CORES_BUSY]} in flight, {row[sb.CONNECTIONS]} connections, "
                f"{row[sb.EXCEPTIONS]} exceptions"
            )


def log_target(settings: Settings) -> str:
    """The file or address that all output goes to; empty: where it led before."""
    process, logging = settings.process, settings.logging
    first = process.daemonize or process.daemonize2 or logging.logto
    return logging.logto2 or first or ""
