"""The duties that change the number of workers: with the load, and with idleness."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from geuwsgi.master import events as ev
from geuwsgi.master.adaptive import Adaptive, Load, adaptive_of
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.events import Request
from geuwsgi.master.plan import first_workers
from geuwsgi.master.prepared import Prepared
from geuwsgi.master.processes import MemberProcess
from geuwsgi.net.backlog import waiting_connections
from geuwsgi.net.listener import Listener
from geuwsgi.routers.plan import for_workers
from geuwsgi.shared import scoreboard as sb
from geuwsgi.worker.memory import read_memory


class AdaptiveDuty(Duty):
    """Measures, asks the algorithm, and tells the policy."""

    def __init__(
        self, adaptive: Adaptive, prepared: Prepared, log: Callable[[str], None]
    ) -> None:
        workers = prepared.settings.workers
        self._adaptive = adaptive
        self._prepared = prepared
        self._log = log
        self._is_verbose = workers.cheaper_busyness_verbose
        self._watches_memory = bool(
            workers.cheaper_rss_limit_soft or workers.cheaper_rss_limit_hard
        )
        self._computed_us: dict[int, int] = {}
        self._looked_at = 0.0
        self._desk: Desk | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk

    def tick(self, now: float) -> None:
        assert self._desk is not None
        wanted = self._desk.wanted_workers()
        if wanted == 0:
            return  # cheap: a connection ends that, not the load
        load = self._measure(self._desk.serving_workers(), now)
        if load.running < wanted:
            return  # what was decided is still on its way
        workers = self._adaptive.wanted(wanted, load)
        if self._is_verbose:
            self._log(
                f"cheaper: {load.running} workers in use {load.average_use:.0%}, "
                f"{load.backlog} connections wait"
            )
        if workers != wanted:
            why = (
                f"cheaper: {wanted} workers become {workers} "
                f"({load.idle} idle, {load.backlog} connections wait)"
            )
            self._desk.put(ev.Resize(self._prepared.number, workers, why))

    def _measure(self, workers: list[MemberProcess], now: float) -> Load:
        elapsed_us = max(now - self._looked_at, 0.001) * 1e6
        self._looked_at = now
        before, self._computed_us = self._computed_us, {}
        uses = []
        for member in workers:
            computed = member.row[sb.HUB_BUSY_US]
            self._computed_us[member.serial] = computed
            share = (computed - before.get(member.serial, computed)) / elapsed_us
            cores = member.row[sb.CORES_BUSY] / self._prepared.plan.cores
            uses.append(min(max(share, cores), 1.0))
        rss = 0
        if self._watches_memory:
            for member in workers:
                with contextlib.suppress(OSError):
                    rss += read_memory(member.pid)[0]
        backlog = max(
            (waiting_connections(one.socket)[0] for one in _listeners(self._prepared)),
            default=0,
        )
        return Load(tuple(uses), backlog, rss)


def _listeners(prepared: Prepared) -> list[Listener]:
    """Those that workers serve: who knocks at a router wants none."""
    return for_workers(prepared.listeners, prepared.settings)


class IdleDuty(Duty):
    """``cheap`` and ``idle``: no workers until somebody connects."""

    def __init__(self, prepared: Prepared, log: Callable[[str], None]) -> None:
        workers = prepared.settings.workers
        self._prepared = prepared
        self._log = log
        self._idle_s = workers.idle
        self._dies = workers.die_on_idle
        self._after_cheap = first_workers(workers.replace(cheap=False))
        self._active_at = 0.0
        self._requests = -1
        self._watching: list[int] = []
        self._desk: Desk | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        self._watch_if_cheap()

    def tick(self, now: float) -> None:
        assert self._desk is not None
        self._watch_if_cheap()
        if not self._idle_s or self._watching:
            self._active_at = now
            return
        workers = self._desk.serving_workers()
        requests = sum(member.row[sb.REQUESTS] for member in workers)
        in_flight = any(member.row[sb.CORES_BUSY] for member in workers)
        if in_flight or requests != self._requests or not workers:
            self._requests = requests
            self._active_at = now
        elif now - self._active_at >= self._idle_s:
            self._go_idle()
            self._active_at = now

    def end(self) -> None:
        self._unwatch()

    def _go_idle(self) -> None:
        assert self._desk is not None
        why = f"no request for {self._idle_s:g} seconds"
        if self._dies:
            self._desk.ask(Request.STOP, why)
        else:
            self._desk.ask(Request.CHEAP, why)

    def _watch_if_cheap(self) -> None:
        assert self._desk is not None
        if self._desk.wanted_workers():
            self._unwatch()
        elif not self._watching:
            filenos = {one.fileno() for one in _listeners(self._prepared)}
            for fileno in filenos:
                self._desk.watch(fileno, self._knocked)
                self._watching.append(fileno)

    def _unwatch(self) -> None:
        assert self._desk is not None
        for fileno in self._watching:
            self._desk.unwatch(fileno)
        self._watching = []

    def _knocked(self) -> None:
        assert self._desk is not None
        self._unwatch()
        why = "somebody connects: the workers are started"
        self._desk.put(ev.Resize(self._prepared.number, self._after_cheap, why))


def cheap_duties(prepared: Prepared, log: Callable[[str], None]) -> list[Duty]:
    """What cheaper*, cheap and idle ask for."""
    workers = prepared.settings.workers
    duties: list[Duty] = []
    adaptive = adaptive_of(workers)
    if adaptive is not None:
        duties.append(AdaptiveDuty(adaptive, prepared, log))
    if workers.cheap or workers.idle or prepared.settings.process.master_fifo:
        duties.append(IdleDuty(prepared, log))
    return duties
