"""The life of one worker: from the fork to its exit status.

It owns the hub, the control channel, the signals and the end; the server only serves.
The life has one way out: somebody gives an :class:`Ending` (the master, a signal, the
loss of the master), the worker drains within the ending's deadline, and exits with the
ending's status. A later ending with less patience takes over.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gevent
import gevent.event
import gevent.queue

from geuwsgi.errors import StartupError
from geuwsgi.log.stderr import log
from geuwsgi.shared.scoreboard import (
    CONNECTIONS,
    CORES_BUSY,
    EXCEPTIONS,
    HEARTBEAT_MS,
    HUB_BUSY_US,
    PID,
    REQUESTS,
    RSS,
    STATUS,
    STATUS_IDLE,
    STATUS_PAUSE,
    VSZ,
    ScoreboardSlot,
)
from geuwsgi.worker.channel import Control, MasterGone
from geuwsgi.worker.fork import end_some_time_after
from geuwsgi.worker.memory import read_memory, read_shares
from geuwsgi.worker.messages import Kind, Message
from geuwsgi.worker.stacks import StackReporter
from geuwsgi.worker.tracebacker import Tracebacker

if TYPE_CHECKING:
    from geuwsgi.background.inbox import Serving
    from geuwsgi.worker.instance import Instance

HEARTBEAT_S = 1.0
ORPHAN_DEADLINE_S = 3.0  # for requests in flight when the master is gone
ATEXIT_LIMIT_S = 10.0
INTERRUPT_DELAY_S = 0.5

STOPPED = 0
RELOADED = 17  # uWSGI: asked to reload
SIGNALLED = 30  # uWSGI: ended on INT or TERM


@dataclass(frozen=True)
class Order:
    """What the master wants forked. ``number`` is the worker id."""

    serial: int
    slot: int
    role: str
    number: int

    @classmethod
    def parse(cls, message: Message) -> Order:
        fields = message.fields()
        return cls(
            int(fields["serial"]),
            int(fields["slot"]),
            str(fields["role"]),
            int(fields["number"]),
        )

    def __str__(self) -> str:
        return f"{self.role} {self.number}"


@dataclass(frozen=True)
class Ending:
    """Why a worker ends, how long it may take, and what it exits with."""

    reason: str
    deadline_s: float
    status: int


class Life:
    """One worker. ``connection`` is its end of the control channel, None without a
    master."""

    def __init__(
        self, instance: Instance, order: Order, connection: socket.socket | None
    ) -> None:
        self._instance = instance
        self._order = order
        self._connection = connection
        self._control: Control | None = None
        self._server: Serving | None = None
        self._slot: ScoreboardSlot | None = None
        self._tracebacker: Tracebacker | None = None
        self._begun_at = time.monotonic()
        self._retiring = False
        self._paused = False

    def run(self) -> int:
        """Live, and return the exit status of the process.

        Must be called in the main greenlet of a process that was just forked.
        """
        # Greenlets and timers of the template must never run here. But queues that
        # the application made at import keep the hub they were made in.
        old_hub = gevent.get_hub()
        old_hub.destroy(destroy_loop=True)
        hub = gevent.get_hub()
        old_hub.loop = hub.loop
        see = partial(self._saw_error, hub.handle_system_error)
        hub.handle_system_error = see  # type: ignore[method-assign]
        self._endings: gevent.queue.SimpleQueue[Any] = gevent.queue.SimpleQueue()
        self._let_serve = gevent.event.Event()
        instance, order = self._instance, self._order
        if self._connection is not None:
            _wait_for_parent(instance.boot.master_pid)
            end_some_time_after(instance.boot.master_pid)
            self._control = Control(self._connection)
            self._control.on(Kind.DRAIN, self._told_to_drain)
            self._control.on(Kind.SERVE, lambda message: self._let_serve.set())
            self._control.on(Kind.ANNOUNCE, lambda message: instance.announce_drain())
            self._control.on(Kind.PAUSE, self._told_to_pause)
            self._control.on(Kind.QUESTION, self._asked)
            self._control.send(Kind.HELLO, pid=os.getpid())
        self._slot = instance.scoreboard.slot(order.slot)
        self._slot.view[PID] = os.getpid()
        instance.entitle(str(order))
        self._install_signals()
        instance.bind_to_cpus(order.number)
        reader = gevent.spawn(self._read_control) if self._control else None
        beating = gevent.spawn(self._beat)

        def leave_to_parent() -> None:
            # In a process that the application forked: the channel is the worker's.
            for greenlet in (reader, beating):
                if greenlet is not None:
                    greenlet.kill(block=False)

        os.register_at_fork(after_in_child=leave_to_parent)
        try:
            instance.begin_member(order, self._slot, self._control)
            is_router = order.role == "router"  # it runs nothing of the application
            if not (instance.loads_early or is_router) and self._control is not None:
                instance.load()
                if instance.load_error is not None:
                    self._tell(Kind.FAILED, error=instance.load_error)
            if not is_router:
                instance.check_need_app()
            self._server = instance.make_server(
                order,
                self._slot,
                end=lambda status: self.end(Ending("over", 0.0, status)),
                retire=self.retire,
            )
            instance.run_post_fork_hook()
            ending = self._live()
        finally:
            gevent.killall([g for g in (reader, beating) if g is not None], block=False)
        self._say_goodbye()
        self._slot.view[PID] = 0
        return ending.status

    # -- from ready to drained ---------------------------------------------------------

    def _live(self) -> Ending:
        assert self._server is not None
        self._announce_engine()
        self._tell(Kind.READY)
        if self._control is not None:
            # Once more: the user may be another one now.
            end_some_time_after(self._instance.boot.master_pid)
            waiting = gevent.spawn(self._start_when_let)
            ending: Ending = self._endings.get()
            if not self._let_serve.is_set():
                waiting.kill()
                return ending
        else:
            self._server.start()
            self._run_accepting_hooks()
            ending = self._endings.get()
        return self._drain(ending)

    def _announce_engine(self) -> None:
        """uWSGI's words: scripts wait for this line."""
        if self._order.role == "worker" and self._order.number == 1:
            loop = f"[addr:{id(gevent.get_hub()):#x}]"
            line = f"*** running gevent loop engine {loop} ***"
            print(line, file=sys.stderr, flush=True)

    def _start_when_let(self) -> None:
        assert self._server is not None
        self._let_serve.wait()
        if not self._paused:
            self._server.start()
        self._run_accepting_hooks()

    def _run_accepting_hooks(self) -> None:
        assert self._slot is not None
        try:
            self._instance.run_accepting_hooks(self._slot)
        except StartupError as exc:
            print(exc, file=sys.stderr, flush=True)
            self.end(Ending("stop", 0.0, exc.exit_status))

    def _drain(self, ending: Ending) -> Ending:
        """Finish, within the deadline of ``ending`` or of one that comes meanwhile."""
        assert self._server is not None
        self._server.stop_accepting()
        while True:
            draining = gevent.spawn(
                self._server.drain, reason=ending.reason, deadline_s=ending.deadline_s
            )
            draining.rawlink(self._endings.put)
            news: object = self._endings.get()
            while not (news is draining or isinstance(news, Ending)):
                news = self._endings.get()  # the end of a drain that was cut short
            if not isinstance(news, Ending):
                return ending
            draining.kill()
            ending = news

    def end(self, ending: Ending) -> None:
        """Begin the end, or hasten it."""
        self._endings.put(ending)

    def retire(self, reason: str) -> None:
        """Ask the master for a successor; without a master, end gracefully."""
        if self._retiring:
            return
        self._retiring = True
        if self._control is None:
            mercy = self._instance.settings.reload.worker_reload_mercy
            self.end(Ending("reload", mercy, RELOADED))
        else:
            self._tell(Kind.RETIRE, reason=reason)

    # -- the master --------------------------------------------------------------------

    def _read_control(self) -> None:
        assert self._control is not None
        try:
            self._control.run()
        except Exception:
            traceback.print_exc()
        if _is_orphan(self._instance.boot.master_pid):
            self._leave_sockets()
        self.end(Ending("stop", ORPHAN_DEADLINE_S, STOPPED))

    def _leave_sockets(self) -> None:
        """Whoever starts the site again needs its ports now, not when all is over."""
        log(f"the master is gone: {self._order} (pid: {os.getpid()}) ends too")
        if self._server is not None:
            self._server.stop_accepting()
        gevent.get_hub().loop.run_callback(self._instance.leave_sockets, self._server)
        gevent.sleep(0)

    def _told_to_drain(self, message: Message) -> None:
        fields = message.fields()
        reason = str(fields["reason"])
        self.end(Ending(reason, float(fields["deadline_s"]), STOPPED))

    def _told_to_pause(self, message: Message) -> None:
        self._paused = bool(message.fields()["paused"])
        if self._slot is not None:
            self._slot.view[STATUS] = STATUS_PAUSE if self._paused else STATUS_IDLE
        if self._server is None or not self._let_serve.is_set():
            return
        if self._paused:
            self._server.stop_accepting()
        else:
            self._server.start()

    def _asked(self, message: Message) -> None:
        fields = message.fields()
        answer = self._instance.answer(str(fields["name"]))
        # Not from the reader: it must go on reading while the master does not.
        gevent.spawn(self._tell, Kind.ANSWER, question=fields["question"], **answer)

    def _tell(self, kind: Kind, **fields: object) -> None:
        if self._control is not None:
            # The reader sees it too if the master is gone, and ends the worker.
            with contextlib.suppress(MasterGone):
                self._control.send(kind, **fields)

    def _saw_error(
        self,
        end_at_once: Callable[..., object],
        kind: type[BaseException],
        error: BaseException,
        traceback: object = None,
    ) -> None:
        """Part with a process in whose hub something was raised that shall end it.

        A greenlet of the application that exits, a handler of signals that raises: the
        others' requests are not lost for that. Called in the hub.
        """
        if str(error).startswith("(libev)"):
            end_at_once(kind, error, traceback)  # it is the loop that works no more
        else:
            gevent.spawn(self.retire, f"{kind.__name__} outside of any request")

    # -- signals -----------------------------------------------------------------------

    def _install_signals(self) -> None:
        def on(number: signal.Signals, action: Callable[[], object]) -> None:
            gevent.signal_handler(number, action)

        mercy = self._instance.settings.reload.worker_reload_mercy
        for number in (signal.SIGQUIT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        reporter = StackReporter(str(self._order), self._instance.live_requests)
        reporter.install()
        prefix = self._instance.settings.workers.py_tracebacker
        if prefix and self._order.role == "worker":
            self._tracebacker = Tracebacker(
                f"{prefix}{self._order.number}", reporter.report, log
            )
            self._tracebacker.start()
        on(signal.SIGHUP, lambda: self.retire("SIGHUP"))
        on(signal.SIGUSR1, self._log_statistics)
        interrupted = Ending("stop", 0.0, SIGNALLED)
        if self._control is not None:
            # systemd sends TERM to every process of the unit, a terminal INT to the
            # whole group: the master got it too, and decides.
            on(signal.SIGTERM, lambda: self.retire("SIGTERM"))
            on(
                signal.SIGINT,
                lambda: gevent.spawn_later(INTERRUPT_DELAY_S, self.end, interrupted),
            )
        else:
            on(signal.SIGINT, lambda: self.end(interrupted))
            on(signal.SIGTERM, lambda: self.end(Ending("stop", mercy, STOPPED)))
            on(signal.SIGQUIT, lambda: self.end(Ending("stop", 0.0, STOPPED)))

    def _log_statistics(self) -> None:
        assert self._slot is not None
        view = self._slot.view
        print(
            f"{self._order} (pid: {os.getpid()}): {view[REQUESTS]} requests, "
            f"{view[CORES_BUSY]} in flight, {view[CONNECTIONS]} connections, "
            f"{view[EXCEPTIONS]} exceptions",
            file=sys.stderr,
            flush=True,
        )

    # -- once a second -----------------------------------------------------------------

    def _beat(self) -> None:
        assert self._slot is not None
        view = self._slot.view
        limits = self._instance.settings.limits
        watches_memory = self._instance.watches_memory
        next_look = self._begun_at
        while True:
            view[HEARTBEAT_MS] = int(time.monotonic() * 1000)
            view[HUB_BUSY_US] = int(time.process_time() * 1e6)
            if watches_memory:
                view[RSS], view[VSZ] = read_memory()
                if limits.reload_on_rss and view[RSS] > limits.reload_on_rss:
                    self.retire(f"reload-on-rss: {view[RSS]} bytes")
                elif limits.reload_on_as and view[VSZ] > limits.reload_on_as:
                    self.retire(f"reload-on-as: {view[VSZ]} bytes")
            if self._instance.watches_shares and time.monotonic() >= next_look:
                next_look = time.monotonic() + limits.mem_collector_freq
                self._check_shares()
            self._check_max_requests(view[REQUESTS])
            self._tell_sources()
            gevent.sleep(HEARTBEAT_S)

    def _check_shares(self) -> None:
        limits = self._instance.settings.limits
        proportional, own = read_shares()
        if limits.reload_on_pss and proportional > limits.reload_on_pss:
            self.retire(f"reload-on-pss: {proportional} bytes")
        elif limits.reload_on_uss and own > limits.reload_on_uss:
            self.retire(f"reload-on-uss: {own} bytes")

    def _tell_sources(self) -> None:
        sources = self._instance.sources
        if sources is not None and (news := sources.news()):
            self._tell(Kind.SOURCES, files=news)

    def _check_max_requests(self, requests: int) -> None:
        options = self._instance.settings.reload
        if not options.max_requests or self._retiring:
            return
        limit = options.max_requests + options.max_requests_delta * self._order.number
        age_s = time.monotonic() - self._begun_at
        if requests >= limit and age_s >= options.min_worker_lifetime:
            self.retire(f"max-requests: {requests} requests")

    # -- the end -----------------------------------------------------------------------

    def _say_goodbye(self) -> None:
        """Run what the application registered for the end, within a limit."""
        if self._tracebacker is not None:
            self._tracebacker.close()
        last_words = gevent.spawn(self._run_exit_hooks)
        last_words.join(timeout=ATEXIT_LIMIT_S)
        if not last_words.ready():
            print("exit hooks take too long, and are cut", file=sys.stderr)
        for stream in (sys.stdout, sys.stderr):
            # What the application has put there may be anything.
            with contextlib.suppress(Exception):
                stream.flush()

    def _run_exit_hooks(self) -> None:
        self._instance.run_atexit_hook()
        if not self._instance.settings.process.skip_atexit:
            atexit._run_exitfuncs()


def _is_orphan(master_pid: int, limit_s: float = 0.5) -> bool:
    """Whether the master has ended, after it closed the channel.

    The kernel closes the files of a process that ends before its children get another
    parent: that may take a moment.
    """
    give_up_at = time.monotonic() + limit_s
    while os.getppid() == master_pid:
        if time.monotonic() > give_up_at:
            return False
        gevent.sleep(0.001)
    return sys.platform.startswith("linux")  # elsewhere it is never the parent


def _wait_for_parent(master_pid: int, limit_s: float = 1.0) -> None:
    """Wait until the process between template and worker is gone.

    Returns after ``limit_s`` where the system knows no subreapers.
    """
    give_up_at = time.monotonic() + limit_s
    while os.getppid() != master_pid and time.monotonic() < give_up_at:
        gevent.sleep(0.0005)
