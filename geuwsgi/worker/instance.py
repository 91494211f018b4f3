"""What a template and the processes it forks have in common.

The configuration, the scoreboard and the loaded applications of one generation, as one
interpreter sees them.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from geuwsgi import api
from geuwsgi.api import ApiContext
from geuwsgi.background.alarms import raiser
from geuwsgi.background.commons import Commons
from geuwsgi.background.inbox import Serving
from geuwsgi.config import Configuration
from geuwsgi.errors import StartupError
from geuwsgi.log.stamp import line_stamp
from geuwsgi.net.heldfiles import HeldFiles
from geuwsgi.net.listeners import from_wire
from geuwsgi.routers.plan import active_kinds, for_workers
from geuwsgi.server.exceptions import exception_watch
from geuwsgi.shared.hubwait import let_others_run, wait_in_hub
from geuwsgi.shared.scoreboard import RESPAWN_COUNT, Scoreboard, ScoreboardSlot
from geuwsgi.stats.details import worker_details
from geuwsgi.worker.assemble import build_edges, build_server, check_rules, cores_of
from geuwsgi.worker.boot import Boot
from geuwsgi.worker.hooks import HookRunner, actions_of
from geuwsgi.worker.members import (
    answer_packets,
    make_mule,
    make_spooler,
    with_signals,
)
from geuwsgi.worker.messages import Kind
from geuwsgi.worker.privileges import Privileges, master_stays_root
from geuwsgi.worker.procname import Titles, set_title
from geuwsgi.worker.sources import Sources
from geuwsgi.wsgi.applications import Applications
from geuwsgi.wsgi.interpreter import prepare_interpreter
from geuwsgi.wsgi.loader import import_all, load_applications

if TYPE_CHECKING:
    from geuwsgi.options import Settings
    from geuwsgi.server.edges import Edge
    from geuwsgi.worker.channel import Control
    from geuwsgi.worker.life import Order
    from geuwsgi.worker.serve import LiveRequest, Server

NO_APP_STATUS = 22  # uWSGI: need-app


class Instance:
    """One generation, from inside. ``load`` may be called once."""

    def __init__(self, boot: Boot) -> None:
        self.boot = boot
        self.configuration = Configuration.from_json(boot.configuration)
        self.settings: Settings = self.configuration.settings
        self.scoreboard = Scoreboard.attach(boot.scoreboard_fd)
        self.applications = Applications()
        self.load_error: str | None = None
        self._has_dropped = False
        self._has_shared = False
        if self.settings.workers.thread_stacksize:
            # Python refuses less.
            threading.stack_size(max(self.settings.workers.thread_stacksize, 32768))
        for fileno in boot.held.values():
            os.set_inheritable(fileno, False)
        self._edges: list[Edge] = []
        self._server: Server | None = None
        self._is_router = False
        self.sources: Sources | None = None
        if self.settings.reload.py_autoreload:
            self.sources = Sources(self.settings.reload.py_auto_reload_ignore)
        self._titles = Titles.of(self.settings.process, boot.title)
        workers = self.settings.workers
        self._all_listeners = from_wire(boot.listeners)
        self._context = ApiContext(
            configuration=self.configuration,
            scoreboard=self.scoreboard,
            listeners=for_workers(self._all_listeners, self.settings),
            started_on=boot.started_on,
            cores=cores_of(self.settings),
            numproc=workers.processes,
            master_pid=boot.master_pid,
            is_reload=boot.is_reload,
            commons=Commons.from_wire(boot.commons),
            set_title=lambda title: _ignore(set_title(title)),
        )
        self._module = api.install(self._context)

    @property
    def loads_early(self) -> bool:
        """Whether the template imports the application, for all that it forks."""
        return not (self.settings.workers.lazy_apps or self.settings.workers.lazy)

    @property
    def shares_imports(self) -> bool:
        """Whether the template imports something even with lazy-apps."""
        python = self.settings.python
        return bool(
            python.shared_import or python.early_pyimport or python.early_python_import
        )

    @property
    def app_count(self) -> int:
        return len(self.applications)

    @cached_property
    def watches_memory(self) -> bool:
        """Whether some option wants to know how much memory workers have."""
        limits = self.settings.limits
        return bool(
            limits.memory_report
            or limits.reload_on_rss
            or limits.reload_on_as
            or limits.evil_reload_on_rss
            or limits.evil_reload_on_as
        )

    @property
    def watches_shares(self) -> bool:
        """Whether some option wants to know what of the memory is shared."""
        limits = self.settings.limits
        return bool(limits.reload_on_pss or limits.reload_on_uss)

    def bind_to_cpus(self, number: int) -> None:
        """Take this worker's share of the processors (cpu-affinity)."""
        count = self.settings.limits.cpu_affinity
        if count and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, share_of_cpus(number, count, os.cpu_count() or 1))

    def leave_sockets(self, serving: Serving | None) -> None:
        """Close all listening sockets, so that another server may listen there.

        Whoever waits to be accepted still is, by ``serving``. Call it in the hub, and
        only if there is no master any more: nobody can listen on them again.
        """
        # What somebody else gave us, systemd say, or got from us, he goes on to listen
        # on: who waits there is his, or the next one's.
        is_shared = bool(self.settings.subscription.zerg_server)
        own = [one for one in self._all_listeners if not (one.inherited or is_shared)]
        for listener in own:
            listener.turn_away()
        if serving is not None:
            serving.accept_the_rest({one.fileno() for one in own})
        for listener in self._all_listeners:
            listener.leave()

    def entitle(self, what: str) -> None:
        """Give the process the title its part in the instance deserves."""
        self._titles.set(what)

    def load(self) -> None:
        """Import the application. What fails is in ``load_error``, and in the log.

        Raises StartupError for options that cannot be meant.
        """
        failures: list[str] = []
        stamp = line_stamp(self.settings.logging)

        def report(line: str) -> None:
            if line.startswith("unable to load app"):
                failures.append(line)
            print(f"{stamp() if stamp else ''}{line}", file=sys.stderr, flush=True)

        self._run_hooks("pre_app")
        check_rules(self.configuration)
        held = HeldFiles(self.boot.held)
        self._edges = build_edges(self.settings, self._context.listeners, held)
        self._check_routers(held)
        self.import_shared(report)
        self.applications = load_applications(self.settings.python, report)
        self._context.applications = self.applications
        if failures:
            self.load_error = failures[0]
        if self.settings.process.chdir2:
            os.chdir(self.settings.process.chdir2)
        self._run_hooks("post_app")
        self._take_privileges()

    def _check_routers(self, held: HeldFiles) -> None:
        kinds = active_kinds(self.settings)
        if not kinds:
            return
        from geuwsgi.worker.router import check_router

        for kind in kinds:
            check_router(
                self.configuration,
                kind,
                listeners=self._all_listeners,
                commons=self._context.commons,
                held=held,
            )

    def import_shared(self, report: Callable[[str], None]) -> None:
        """Import what all processes shall share, lazy-apps or not. Only once."""
        if self._has_shared:
            return
        self._has_shared = True
        if not self.settings.process.drop_after_apps:
            self._take_privileges()  # before any code of the application
        python = self.settings.python
        for path in (*python.early_python_path, *python.early_pythonpath):
            sys.path.insert(0, path)
        prepare_interpreter(python, report)
        early = (python.early_python_import, python.early_pyimport)
        names = [name for name in early if name]
        import_all((*names, *python.shared_import), report)

    def _take_privileges(self) -> None:
        """Become the user of the workers, where the master stays root."""
        process = self.settings.process
        if master_stays_root(process) and not self._has_dropped:
            self._has_dropped = True
            for line in Privileges.of(process).take():
                _print_line(line)

    def check_need_app(self) -> None:
        """Raise StartupError if there must be an application and is none."""
        if self.settings.python.need_app and not self.applications:
            raise StartupError("no application was loaded", NO_APP_STATUS)

    # -- in a member -------------------------------------------------------------------

    def begin_member(
        self, order: Order, slot: ScoreboardSlot, control: Control | None
    ) -> None:
        """Say who this process is, before any code of the application runs in it."""
        context = self._context
        if order.role == "worker":
            context.worker_id = order.number
        elif order.role == "mule":
            context.mule_id = order.number
        context.is_spooler = order.role == "spooler"
        self._is_router = order.role == "router"
        context.slot = slot
        context.commons.enter(
            role=order.role,
            number=order.number,
            slot=slot.index,
            wait=wait_in_hub,
            breathe=let_others_run,
        )
        if control is not None:
            context.reload_instance = lambda: _sent(control, Kind.RELOAD)
            context.stop_instance = lambda: _sent(control, Kind.SHUTDOWN)

    def make_server(
        self,
        order: Order,
        slot: ScoreboardSlot,
        *,
        end: Callable[[int], object],
        retire: Callable[[str], object],
    ) -> Serving:
        """What this process serves with; it does nothing yet.

        A mule's program that is over says so to ``end``, with an exit status.
        """
        self._take_privileges()  # with lazy-apps not everybody has loaded
        context, module = self._context, self._module
        before = partial(self._call_hook, "post_fork_hook")
        serving: Serving
        if order.role == "mule":
            serving = make_mule(context, order, module=module, before=before, end=end)
        elif order.role == "spooler":
            serving = make_spooler(
                context, order, module=module, before=before, retire=retire
            )
        elif order.role == "router":
            from geuwsgi.worker.router import make_router, place_of

            serving = make_router(
                self.settings,
                place_of(self.settings, order.number),
                listeners=self._all_listeners,
                commons=context.commons,
                held=HeldFiles(self.boot.held),
            )
        else:
            serving = self._make_worker_server(order, slot, retire)
        return with_signals(serving, context, order, slot)

    def _make_worker_server(
        self, order: Order, slot: ScoreboardSlot, retire: Callable[[str], object]
    ) -> Server:
        context = self._context
        server = build_server(
            self.configuration,
            listeners=context.listeners,
            applications=self.applications,
            slot=slot,
            worker_id=order.number,
            commons=context.commons,
            functions=context.background.rpc,
            edges=self._edges,
            request_log_fd=self.boot.request_log_fd,
        )
        server.retire = retire
        server.site.exception_seen = exception_watch(self.settings.wsgi, retire)
        if getattr(self._module, "after_req_hook", None) is not None:
            server.site.request_ended = partial(self._call_hook, "after_req_hook")
        answer_packets(server, context)
        os.register_at_fork(after_in_child=server.leave_to_parent)
        context.site = server.site
        self._server = server
        context.set_accepting = lambda accepting: (
            server.start() if accepting else server.stop_accepting()
        )
        return server

    def announce_drain(self) -> None:
        """Have ``uwsgi.draining()`` say so; connections are kept no longer."""
        if self._context.site is not None:
            self._context.site.draining = True

    def live_requests(self) -> list[LiveRequest]:
        """The requests in flight; none in a process that serves none."""
        return self._server.live_requests() if self._server is not None else []

    def answer(self, name: str) -> dict[str, Any]:
        """Answer a question of the master about this worker; {} if it is unknown."""
        site = self._context.site
        if name == "stats" and site is not None:
            cores = site.cores
            return worker_details(self.applications, cores.holders, cores.served)
        return {}

    def run_post_fork_hook(self) -> None:
        """Call ``uwsgi.post_fork_hook``; what it raises is told and forgotten.

        Mules and spoolers call it themselves, where it may take for ever.
        """
        if self._is_router:
            self._run_hooks("as_gateway")
        elif self._context.mule_id:
            self._run_hooks("as_mule")
        elif not self._context.is_spooler:
            self._run_hooks("post_fork")
            self._call_hook("post_fork_hook")

    def run_accepting_hooks(self, slot: ScoreboardSlot) -> None:
        """Run what is asked for when a worker begins to accept."""
        if not self._context.worker_id:
            return
        is_first_life = self.boot.generation == 1 and slot.view[RESPAWN_COUNT] <= 1
        is_first_worker = self._context.worker_id == 1
        self._run_hooks("accepting")
        if is_first_life:
            self._run_hooks("accepting_once")
        if is_first_worker:
            self._run_hooks("accepting1")
        if is_first_worker and is_first_life:
            self._run_hooks("accepting1_once")

    def run_atexit_hook(self) -> None:
        """Call ``uwsgi.atexit``."""
        self._call_hook("atexit")

    def _run_hooks(self, phase: str) -> None:
        """Run the actions of an option. Raises StartupError if one fails."""
        actions = actions_of(self.settings.hooks, phase)
        if actions:
            alarm = raiser(self._context.commons.mailboxes)
            HookRunner(_print_line, raise_alarm=alarm).run(phase, actions)

    def _call_hook(self, name: str) -> None:
        hook = getattr(self._module, name, None)
        if hook is None:
            return
        try:
            hook()
        except Exception:
            traceback.print_exc()


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def share_of_cpus(number: int, count: int, available: int) -> set[int]:
    """The processors of worker ``number`` when each has ``count``, in turn."""
    first = (number - 1) * count
    return {(first + index) % available for index in range(min(count, available))}


def _sent(control: Control, kind: Kind) -> bool:
    control.send(kind)
    return True


def _ignore(_result: bool) -> None:
    """A title that cannot be set is nobody's problem."""
