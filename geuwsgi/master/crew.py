"""The templates and members that run, and the talking with them.

The crew carries out what concerns single processes and reports what they say and how
they end as events. It decides nothing.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable

from geuwsgi.master import events as ev
from geuwsgi.master.channel import Channel, ChannelClosed
from geuwsgi.master.events import Event
from geuwsgi.master.plan import Role
from geuwsgi.master.prepared import Prepared
from geuwsgi.master.processes import MemberProcess, TemplateProcess
from geuwsgi.shared import scoreboard as sb
from geuwsgi.worker.messages import ChannelError, Kind, Message

DEAF_LIMIT_S = 3.0  # how long a template may live without its channel

Handler = Callable[[MemberProcess, Message], None]


class Crew:
    """Every process that was forked for some generation.

    ``put`` takes events, ``log`` lines. ``handlers`` says what to do with each kind of
    message from a member; HELLO and READY are the crew's own.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        put: Callable[[Event], None],
        log: Callable[[str], None],
    ) -> None:
        self._selector = selector
        self._put = put
        self._log = log
        self._templates: dict[int, TemplateProcess] = {}
        self._members: dict[int, MemberProcess] = {}
        self._unclaimed: dict[int, int] = {}  # statuses of pids that said no HELLO yet
        self.handlers: dict[Kind, Handler] = {
            Kind.HELLO: self._hello,
            Kind.READY: lambda member, _: put(ev.MemberReady(member.serial)),
            Kind.FAILED: lambda member, message: put(
                ev.MemberFailed(member.serial, str(message.fields()["error"]))
            ),
            Kind.SOURCES: lambda _, message: self.on_sources(message.fields()["files"]),
            Kind.RETIRE: lambda member, message: put(
                ev.MemberRetires(member.serial, str(message.fields()["reason"]))
            ),
        }
        self.on_sources: Callable[[dict[str, int]], None] = lambda files: None

    def members(self) -> list[MemberProcess]:
        """Everyone that was ordered and has not ended, oldest first."""
        return list(self._members.values())

    def member(self, serial: int) -> MemberProcess | None:
        return self._members.get(serial)

    # -- templates ---------------------------------------------------------------------

    def start_template(
        self, prepared: Prepared, *, started_on: int, title: str, request_log_fd: int
    ) -> None:
        """Start the template of a generation. Raises OSError."""
        template = TemplateProcess.start(
            prepared,
            started_on=started_on,
            title=title,
            request_log_fd=request_log_fd,
        )
        self._templates[prepared.number] = template
        self._selector.register(
            template.channel,
            selectors.EVENT_READ,
            lambda mask: self._read_template(template),
        )

    def kill_template(self, generation: int) -> None:
        template = self._templates.get(generation)
        if template is not None:
            signal_process(template.pid, signal.SIGKILL)

    def _read_template(self, template: TemplateProcess) -> None:
        if template.is_deaf:
            return
        messages, ended = self._receive(template.channel)
        for message in messages:
            fields = message.fields()
            if message.kind is Kind.LOADED:
                self._put(
                    ev.TemplateLoaded(
                        template.generation, fields["apps"], fields["error"]
                    )
                )
            elif message.kind is Kind.SOURCES:
                self.on_sources(fields["files"])
        if ended:
            # It is ending, and its exit status is worth waiting for, a while.
            template.is_deaf = True
            template.kill_at = time.monotonic() + DEAF_LIMIT_S
            self._selector.unregister(template.channel)

    def tick(self, now: float) -> None:
        """To be called about once a second."""
        for template in self._templates.values():
            if now >= template.kill_at:
                signal_process(template.pid, signal.SIGKILL)

    def _forget_template(self, template: TemplateProcess) -> None:
        if self._templates.get(template.generation) is template:
            del self._templates[template.generation]
        if not template.is_deaf:
            self._selector.unregister(template.channel)
        template.channel.close()

    # -- members -----------------------------------------------------------------------

    def fork(self, prepared: Prepared, order: ev.Fork) -> None:
        """Have the template fork a member. Raises OSError."""
        slot = prepared.scoreboard.slot(order.slot)
        slot.clear()
        row = slot.view
        row[sb.WORKER_ID] = order.number if order.role is Role.WORKER else 0
        row[sb.GENERATION] = order.generation
        row[sb.LAST_SPAWN] = int(time.time())
        row[sb.RESPAWN_COUNT] = order.respawn_count
        template = self._templates.get(order.generation)
        channel, theirs = Channel.pair()
        try:
            if template is None:
                raise ChannelClosed("there is no template")
            template.channel.send_with_descriptor(
                theirs.fileno(),
                Kind.FORK,
                serial=order.serial,
                slot=order.slot,
                role=order.role.value,
                number=order.number,
            )
        except ChannelClosed:
            channel.close()
            self._put(ev.MemberExited(order.serial, None))
            return
        finally:
            theirs.close()
        member = MemberProcess(
            order.serial, order.generation, order.role, order.number, channel, row
        )
        self._members[order.serial] = member
        self._selector.register(
            channel, selectors.EVENT_READ, lambda mask: self._member_io(member, mask)
        )

    def tell(
        self, serial: int, kind: Kind, body: bytes = b"", **fields: object
    ) -> None:
        """Send a message to a member; nothing if it is not there any more."""
        member = self._members.get(serial)
        if member is None or member.is_deaf:
            return
        try:
            member.channel.send(kind, body, **fields)
        except ChannelClosed:
            return  # reading tells the same
        self._watch(member)

    def kill(self, serial: int) -> None:
        member = self._members.get(serial)
        if member is None:
            return
        if member.pid:
            if not signal_process(member.pid, signal.SIGKILL):
                # Reaped by somebody else: possible only where the master is not the
                # parent of its members.
                self._forget_member(member, None)
        elif not member.is_deaf:
            # Its fork was ordered, but it never spoke.
            self._forget_member(member, None)

    def _member_io(self, member: MemberProcess, mask: int) -> None:
        if mask & selectors.EVENT_WRITE and not member.is_deaf:
            try:
                member.channel.flush()
            except ChannelClosed:
                pass
            else:
                self._watch(member)
        if mask & selectors.EVENT_READ:
            self._read_member(member)

    def _watch(self, member: MemberProcess) -> None:
        events = selectors.EVENT_READ
        if member.channel.wants_to_write:
            events |= selectors.EVENT_WRITE
        key = self._selector.get_key(member.channel)
        if key.events != events:
            self._selector.modify(member.channel, events, key.data)

    def _read_member(self, member: MemberProcess) -> None:
        if member.is_deaf:
            return
        messages, ended = self._receive(member.channel)
        for message in messages:
            handler = self.handlers.get(message.kind)
            if handler is None:
                self._log(f"{member} sent an unexpected {message.kind.name} message")
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
        member.row[sb.PID] = 0
        member.row[sb.ACCEPTING] = 0
        self._put(ev.MemberExited(member.serial, status))

    # -- both --------------------------------------------------------------------------

    def buried(self, pid: int, status: int) -> None:
        """A child has ended: one of ours, or one that could not say who it is."""
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
        if any(not member.pid for member in self._members.values()):
            self._unclaimed[pid] = status
        else:
            self._unclaimed.clear()  # orphans of somebody else

    def end(self) -> None:
        """Kill and bury everyone who is left."""
        for template in list(self._templates.values()):
            _end(template.pid)
            self._forget_template(template)
        for member in self.members():
            if member.pid:
                _end(member.pid)
            self._forget_member(member, None)

    def _receive(self, channel: Channel) -> tuple[list[Message], bool]:
        try:
            return channel.receive()
        except ChannelError as exc:
            self._log(f"control channel: {exc}")
            return [], True


def signal_process(pid: int, number: int) -> bool:
    """Signal a process; whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
