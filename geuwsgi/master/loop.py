"""The master's loop: it carries out what the policy decides, and tells it what happens.

One thread, one selector. Everything that may take long is done by other processes;
everything that happens becomes an event; every decision is the policy's. The master
imports neither gevent nor the application.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from geuwsgi.errors import ConfigErrors, GeuwsgiError
from geuwsgi.master import events as ev
from geuwsgi.master.channel import Channel, ChannelClosed
from geuwsgi.master.events import Action, Event, Request
from geuwsgi.master.policy import Policy
from geuwsgi.master.prepared import Prepare, Prepared
from geuwsgi.master.processes import MemberProcess, TemplateProcess
from geuwsgi.master.signals import SignalQueue
from geuwsgi.shared import scoreboard as sb
from geuwsgi.worker.messages import ChannelError, Kind, Message

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


class Master:
    """The supervisor of one instance, from the first fork to the exit status."""

    def __init__(
        self,
        first: Prepared,
        prepare: Prepare,
        *,
        started_on: int,
        title: str = "",
        when_serving: Callable[[], None] = lambda: None,
    ) -> None:
        self._prepare = prepare
        self._when_serving = when_serving
        self._started_on = started_on
        self._title = title
        self._policy = Policy()
        self._prepared = {first.number: first}
        self._current = first.number
        self._templates: dict[int, TemplateProcess] = {}
        self._members: dict[int, MemberProcess] = {}
        self._unclaimed: dict[int, int] = {}  # statuses of pids that said no HELLO yet
        self._selector = selectors.DefaultSelector()
        self._queue: deque[Event] = deque()
        self._exit_status: int | None = None
        self._actions: dict[type, Callable[[Any], None]] = {
            ev.LoadConfiguration: self._load_configuration,
            ev.StartTemplate: self._start_template,
            ev.KillTemplate: self._kill_template,
            ev.Fork: self._fork,
            ev.Serve: self._serve,
            ev.Drain: self._drain,
            ev.Pause: self._pause,
            ev.Kill: self._kill,
            ev.Promote: self._promote,
            ev.Forget: self._forget,
            ev.Log: lambda action: log(action.line),
            ev.Exit: self._exit,
        }
        self._requests: dict[Kind, Callable[[MemberProcess, Message], None]] = {
            Kind.HELLO: self._hello,
            Kind.READY: lambda member, _: self._put(ev.MemberReady(member.serial)),
            Kind.FAILED: lambda member, message: self._put(
                ev.MemberFailed(member.serial, str(message.fields()["error"]))
            ),
            Kind.RETIRE: lambda member, message: self._put(
                ev.MemberRetires(member.serial, str(message.fields()["reason"]))
            ),
            Kind.RELOAD: lambda member, _: self._put(
                ev.Asked(Request.RELOAD, f"the application in {member}")
            ),
            Kind.SHUTDOWN: lambda member, _: self._put(
                ev.Asked(Request.STOP, f"the application in {member}")
            ),
        }

    def run(self) -> int:
        """Supervise until the instance ends; return the exit status.

        Whatever happens, no process of the instance is left behind.
        """
        signals = SignalQueue(LISTENED)
        self._selector.register(
            signals, selectors.EVENT_READ, lambda mask: self._signals(signals)
        )
        self._put(ev.Begin(self._prepared[self._current].plan))
        try:
            while True:
                self._settle()
                if self._exit_status is not None:
                    return self._exit_status
                for key, mask in self._selector.select(self._patience()):
                    self._guard(key.data, mask)
                self._put(ev.Tick())
        finally:
            self._clean_up()
            self._selector.unregister(signals)
            signals.close()
            self._selector.close()

    def _guard(self, step: Callable[[Any], None], argument: Any) -> None:
        """Take one step; a bug in it must not end the site."""
        try:
            step(argument)
        except Exception:
            log(traceback.format_exc().rstrip())

    # -- events ------------------------------------------------------------------------

    def _put(self, event: Event) -> None:
        self._queue.append(event)

    def _settle(self) -> None:
        """Give the policy what is queued and do what it says, until all is quiet."""
        while self._queue and self._exit_status is None:
            event = self._queue.popleft()
            for action in self._policy.handle(event, time.monotonic()):
                self._guard(self._do, action)

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
        longest = self._prepared[self._current].settings.process.check_interval or 1.0
        return max(0.0, min(longest, self._policy.next_deadline() - time.monotonic()))

    def _signals(self, signals: SignalQueue) -> None:
        for number in signals.read():
            if number is signal.SIGCHLD:
                self._reap()
            elif number in _REQUESTS:
                self._put(ev.Asked(self._request_of(number), number.name))
            elif number is signal.SIGUSR1:
                self._log_statistics()

    def _request_of(self, number: signal.Signals) -> Request:
        if number is signal.SIGTERM and self._policy.is_stopping:
            return Request.BRUTAL_STOP  # asked twice
        return _REQUESTS[number]

    def _reap(self) -> None:
        """Bury every child that has ended, known or not (the master may be PID 1)."""
        while True:
            try:
                pid, waited = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._buried(pid, os.waitstatus_to_exitcode(waited))

    def _buried(self, pid: int, status: int) -> None:
        for template in self._templates.values():
            if template.pid == pid:
                self._read_template(template)
                self._forget_template(template)
                self._put(ev.TemplateExited(template.generation, status))
                return
        for member in self._members.values():
            if member.pid == pid:
                self._read_member(member)
                self._forget_member(member, status)
                return
        self._unclaimed[pid] = status

    # -- templates ---------------------------------------------------------------------

    def _start_template(self, action: ev.StartTemplate) -> None:
        prepared = self._prepared[action.generation]
        template = TemplateProcess.start(
            prepared, started_on=self._started_on, title=self._title
        )
        self._templates[action.generation] = template
        self._selector.register(
            template.channel,
            selectors.EVENT_READ,
            lambda mask: self._read_template(template),
        )

    def _kill_template(self, action: ev.KillTemplate) -> None:
        template = self._templates.get(action.generation)
        if template is not None:
            _signal(template.pid, signal.SIGKILL)

    def _read_template(self, template: TemplateProcess) -> None:
        if template.is_deaf:
            return
        messages, ended = _receive(template.channel)
        for message in messages:
            if message.kind is Kind.LOADED:
                fields = message.fields()
                self._put(
                    ev.TemplateLoaded(
                        template.generation, fields["apps"], fields["error"]
                    )
                )
        if ended:
            template.is_deaf = True
            self._selector.unregister(template.channel)
            _signal(template.pid, signal.SIGKILL)

    def _forget_template(self, template: TemplateProcess) -> None:
        if self._templates.get(template.generation) is template:
            del self._templates[template.generation]
        if not template.is_deaf:
            self._selector.unregister(template.channel)
        template.channel.close()

    # -- members -----------------------------------------------------------------------

    def _fork(self, action: ev.Fork) -> None:
        prepared = self._prepared[action.generation]
        row = prepared.scoreboard.slot(action.slot)
        row.clear()
        row.view[sb.WORKER_ID] = action.number
        row.view[sb.GENERATION] = action.generation
        row.view[sb.LAST_SPAWN] = int(time.time())
        row.view[sb.RESPAWN_COUNT] = action.respawn_count
        template = self._templates.get(action.generation)
        channel, theirs = Channel.pair()
        try:
            if template is None:
                raise ChannelClosed("there is no template")
            template.channel.send_with_descriptor(
                theirs.fileno(),
                Kind.FORK,
                serial=action.serial,
                slot=action.slot,
                role=action.role.value,
                number=action.number,
            )
        except ChannelClosed:
            channel.close()
            self._put(ev.MemberExited(action.serial, None))
            return
        finally:
            theirs.close()
        member = MemberProcess(
            action.serial, action.generation, action.role, action.number, channel
        )
        self._members[action.serial] = member
        self._selector.register(
            channel, selectors.EVENT_READ, lambda mask: self._member_io(member, mask)
        )

    def _member_io(self, member: MemberProcess, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._flush(member)
        if mask & selectors.EVENT_READ:
            self._read_member(member)

    def _read_member(self, member: MemberProcess) -> None:
        if member.is_deaf:
            return
        messages, ended = _receive(member.channel)
        for message in messages:
            handler = self._requests.get(message.kind)
            if handler is None:
                log(f"{member} sent an unexpected {message.kind.name} message")
            else:
                handler(member, message)
        if ended and not member.is_deaf:
            member.is_deaf = True
            self._selector.unregister(member.channel)
            if member.pid:
                self._put(ev.MemberLost(member.serial))
            else:
                self._forget_member(member, None)

    def _hello(self, member: MemberProcess, message: Message) -> None:
        member.pid = int(message.fields()["pid"])
        self._put(ev.MemberStarted(member.serial, member.pid))
        if member.pid in self._unclaimed:
            self._forget_member(member, self._unclaimed.pop(member.pid))

    def _forget_member(self, member: MemberProcess, status: int | None) -> None:
        self._members.pop(member.serial, None)
        if not member.is_deaf:
            member.is_deaf = True
            self._selector.unregister(member.channel)
        member.channel.close()
        self._put(ev.MemberExited(member.serial, status))

    def _tell(self, serial: int, kind: Kind, **fields: object) -> None:
        member = self._members.get(serial)
        if member is None or member.is_deaf:
            return
        try:
            member.channel.send(kind, **fields)
        except ChannelClosed:
            return  # reading tells the same
        self._watch(member)

    def _flush(self, member: MemberProcess) -> None:
        if member.is_deaf:
            return
        try:
            member.channel.flush()
        except ChannelClosed:
            return
        self._watch(member)

    def _watch(self, member: MemberProcess) -> None:
        events = selectors.EVENT_READ
        if member.channel.wants_to_write:
            events |= selectors.EVENT_WRITE
        key = self._selector.get_key(member.channel)
        if key.events != events:
            self._selector.modify(member.channel, events, key.data)

    def _serve(self, action: ev.Serve) -> None:
        self._tell(action.serial, Kind.SERVE)
        self._when_serving()

    def _drain(self, action: ev.Drain) -> None:
        self._tell(
            action.serial,
            Kind.DRAIN,
            reason=action.reason,
            deadline_s=action.deadline_s,
        )

    def _pause(self, action: ev.Pause) -> None:
        self._tell(action.serial, Kind.PAUSE, paused=action.paused)

    def _kill(self, action: ev.Kill) -> None:
        member = self._members.get(action.serial)
        if member is None:
            return
        if member.pid:
            if not _signal(member.pid, signal.SIGKILL):
                # Reaped by somebody else: possible only where the master is not the
                # parent of its members.
                self._forget_member(member, None)
        elif not member.is_deaf:
            # Its fork was ordered, but it never spoke.
            self._forget_member(member, None)

    # -- generations -------------------------------------------------------------------

    def _load_configuration(self, action: ev.LoadConfiguration) -> None:
        number = action.generation
        try:
            prepared = self._prepare(number, self._prepared[self._current].listeners)
        except ConfigErrors as exc:
            self._put(ev.ConfigurationFailed(number, str(exc)))
        except (GeuwsgiError, OSError) as exc:
            self._put(ev.ConfigurationFailed(number, str(exc)))
        except Exception:
            self._put(ev.ConfigurationFailed(number, traceback.format_exc().rstrip()))
        else:
            self._prepared[number] = prepared
            self._put(ev.ConfigurationLoaded(number, prepared.plan))

    def _promote(self, action: ev.Promote) -> None:
        former, self._current = self._current, action.generation
        listeners = self._prepared[action.generation].listeners
        self._prepared[former].close_listeners(listeners)

    def _forget(self, action: ev.Forget) -> None:
        prepared = self._prepared.pop(action.generation, None)
        if prepared is not None:
            if action.generation == self._current:
                raise AssertionError("the generation that serves cannot be forgotten")
            prepared.close_listeners(self._prepared[self._current].listeners)
            prepared.close()

    # -- the end -----------------------------------------------------------------------

    def _exit(self, action: ev.Exit) -> None:
        self._exit_status = action.status

    def _clean_up(self) -> None:
        for template in list(self._templates.values()):
            _end(template.pid)
            self._forget_template(template)
        for member in list(self._members.values()):
            if member.pid:
                _end(member.pid)
            self._forget_member(member, None)
        for prepared in self._prepared.values():
            prepared.close_listeners()
            prepared.close()

    def _log_statistics(self) -> None:
        for member in sorted(self._members.values(), key=lambda m: m.serial):
            prepared = self._prepared[member.generation]
            for row in prepared.scoreboard.rows():
                if row[sb.PID] == member.pid:
                    log(
                        f"{member} (pid: {member.pid}): {row[sb.REQUESTS]} requests, "
                        f"{row[sb.CORES_BUSY]} in flight, "
                        f"{row[sb.CONNECTIONS]} connections, "
                        f"{row[sb.EXCEPTIONS]} exceptions"
                    )


def _receive(channel: Channel) -> tuple[list[Message], bool]:
    try:
        return channel.receive()
    except ChannelError as exc:
        log(f"control channel: {exc}")
        return [], True


def _signal(pid: int, number: signal.Signals) -> bool:
    """Signal a process; whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _end(pid: int) -> None:
    """Kill a child for sure, and bury it."""
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return


def log(line: str) -> None:
    """Write a line where the log goes, in one piece."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:
        return  # a full disk must not end the site
