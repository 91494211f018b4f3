"""The instance, its workers and its log, as the ``uwsgi`` module shows them."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import geuwsgi
from geuwsgi.net.backlog import waiting_connections
from geuwsgi.server.context import current_exchange
from geuwsgi.shared import scoreboard

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.server.exchange import Exchange

#: The uWSGI whose interface this is. Agents compare it.
VERSION = b"2.0.31"
VERSION_INFO = (2, 0, 31, 0, b"")

#: What monitoring agents look for before they start threads after a fork. Both are
#: how geuwsgi always works.
_ALWAYS = ("enable-threads", "py-call-uwsgi-fork-hooks")

_STATUS_NAMES = {
    scoreboard.STATUS_IDLE: b"idle",
    scoreboard.STATUS_BUSY: b"busy",
    scoreboard.STATUS_CHEAP: b"cheap",
    scoreboard.STATUS_PAUSE: b"pause",
}


class OptionsDict(dict[str, Any]):
    """``uwsgi.opt``: listed by str, found by str and by bytes, as users ask both."""

    def __getitem__(self, key: str | bytes) -> Any:
        return super().__getitem__(_as_key(key))

    def __contains__(self, key: object) -> bool:
        return super().__contains__(_as_key(key))

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_as_key(key), default)


def _as_key(key: Any) -> Any:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else key


def require_exchange() -> Exchange:
    """Return the running request, or raise what uWSGI raises without one."""
    exchange = current_exchange()
    if exchange is None:
        raise SystemError("you can call uwsgi api function only from the main callable")
    return exchange


def as_bytes(value: str | bytes) -> bytes:
    """Return what a "str or bytes" argument means; TypeError for others."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"a bytes-like object or str is required, not {type(value)}")


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the attributes and functions of this part."""
    settings = context.configuration.settings
    options = OptionsDict(context.configuration.opt)
    for name in _ALWAYS:
        options.setdefault(name, True)
    attributes: dict[str, Any] = {
        "version": VERSION,
        "version_info": VERSION_INFO,
        "geuwsgi_version": geuwsgi.__version__,
        "hostname": socket.gethostname().encode(),
        "numproc": context.numproc,
        "cores": context.cores,
        "has_threads": 1,
        "loop": b"gevent",
        "buffer_size": settings.limits.buffer_size,
        "started_on": context.started_on,
        "is_a_reload": context.is_reload,
        "opt": options,
        "magic_table": dict(context.configuration.magic_table),
        "sockets": [listener.fileno() for listener in context.listeners],
        "applications": None,
        "unbit": None,
    }
    if settings.process.pidfile:
        attributes["pidfile"] = os.fsencode(settings.process.pidfile)
    for name, value in attributes.items():
        setattr(module, name, value)
    instance = _Instance(context)
    for function in (
        instance.reload,
        instance.stop,
        instance.masterpid,
        instance.worker_id,
        instance.mule_id,
        instance.i_am_the_spooler,
        instance.workers,
        instance.total_requests,
        instance.mem,
        instance.listen_queue,
        instance.ready,
        instance.accepting,
        instance.setprocname,
        instance.draining,
        instance.wait_for_drain,
        micros,
        log,
        log_this_request,
        set_logvar,
        get_logvar,
        logsize,
    ):
        setattr(module, function.__name__, function)


class _Instance:
    """The functions that need to know the instance."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def reload(self) -> bool | None:
        """Reload the instance: True, or None without a master."""
        return self._context.reload_instance() or None

    def stop(self) -> bool | None:
        """Stop the instance: True, or None without a master."""
        return self._context.stop_instance() or None

    def masterpid(self) -> int:
        """Return the master's process id, 0 without a master."""
        return self._context.master_pid

    def worker_id(self) -> int:
        """Return the number of this worker, 0 in other processes."""
        return self._context.worker_id

    def mule_id(self) -> int:
        """Return the number of this mule, 0 in other processes."""
        return self._context.mule_id

    def i_am_the_spooler(self) -> bool | None:
        """Return True in a spooler, else None."""
        return True if self._context.is_spooler else None

    def draining(self) -> bool:
        """Whether this worker finishes what it has and ends (geuwsgi)."""
        site = self._context.site
        return site is not None and site.draining

    def wait_for_drain(self, timeout: float | None = None) -> bool:
        """Wait until this worker drains, at most ``timeout`` seconds (geuwsgi).

        For greenlets that would hold the worker up: they should end then. Returns
        whether it drains.
        """
        site = self._context.site
        return site is not None and bool(site.drain_begins.wait(timeout))

    def workers(self) -> tuple[dict[str, Any], ...]:
        """Return a fresh dictionary about each worker, by number."""
        rows = {row[scoreboard.WORKER_ID]: row for row in self._context.rows()}
        return tuple(
            self._describe(number, rows.get(number))
            for number in range(1, self._context.numproc + 1)
        )

    def _describe(self, number: int, row: memoryview[int] | None) -> dict[str, Any]:
        def value(index: int) -> int:
            return 0 if row is None else row[index]

        status = _STATUS_NAMES.get(value(scoreboard.STATUS), b"idle")
        if value(scoreboard.CORES_BUSY):
            status = b"busy"
        requests = value(scoreboard.REQUESTS)
        return {
            "id": number,
            "pid": value(scoreboard.PID),
            "requests": requests + value(scoreboard.KEPT_REQUESTS),
            "delta_requests": requests,
            "signals": value(scoreboard.SIGNALS),
            "exceptions": value(scoreboard.EXCEPTIONS),
            "status": b"cheap" if row is None else status,
            "rss": value(scoreboard.RSS),
            "vsz": value(scoreboard.VSZ),
            "running_time": value(scoreboard.RUNNING_TIME_US),
            "last_spawn": value(scoreboard.LAST_SPAWN),
            "respawn_count": max(0, value(scoreboard.RESPAWN_COUNT) - 1),
            "tx": value(scoreboard.TX_BYTES),
            "avg_rt": value(scoreboard.AVG_RT_US),
            "apps": self._apps(),
        }

    def _apps(self) -> tuple[dict[str, Any], ...]:
        return tuple(
            {
                "id": app.number,
                "modifier1": 0,
                "mountpoint": app.mountpoint.encode(),
                "startup_time": app.startup_s,
                "interpreter": id(sys.modules),
                "callable": id(app.call),
                "requests": app.requests,
                "exceptions": app.exceptions,
                "chdir": app.chdir.encode(),
            }
            for app in self._context.applications or ()
        )

    def total_requests(self) -> int:
        """Return how many requests the instance has answered."""
        return sum(
            row[scoreboard.REQUESTS] + row[scoreboard.KEPT_REQUESTS]
            for row in self._context.rows()
        )

    def mem(self) -> tuple[int, int]:
        """Return (resident, virtual) bytes of this process."""
        pages = Path("/proc/self/statm").read_text().split()
        size = os.sysconf("SC_PAGE_SIZE")
        return int(pages[1]) * size, int(pages[0]) * size

    def listen_queue(self, socket_no: int = 0) -> int:
        """Return how many connections wait to be accepted; ValueError: no socket."""
        try:
            listener = self._context.listeners[socket_no]
        except IndexError:
            raise ValueError(f"there is no socket {socket_no}") from None
        return waiting_connections(listener.socket)[0]

    def ready(self) -> bool | None:
        """Return True once the instance serves, else None."""
        return True if self._context.site is not None else None

    def accepting(self, flag: int = 1) -> None:
        """Have this worker accept connections, or not."""
        self._context.set_accepting(bool(flag))

    def setprocname(self, name: str) -> None:
        """Set the title of this process."""
        self._context.set_title(name)


def micros() -> int:
    """Return the time in microseconds since 1970."""
    return time.time_ns() // 1000


def log(message: str) -> bool:
    """Write a line to the log; True."""
    if not isinstance(message, str):
        raise TypeError(f"log() argument must be str, not {type(message).__name__}")
    sys.stderr.write(message + "\n")
    sys.stderr.flush()
    return True


def logsize() -> int:
    """Return the size of the log file in bytes, 0 if it is not a file."""
    status = os.fstat(2)
    return status.st_size


def log_this_request() -> None:
    """Log the running request even where requests are not logged."""
    require_exchange().force_log()


def set_logvar(key: str | bytes, value: str | bytes) -> None:
    """Set a variable that ``log-format`` may name.

    One whose name or value is longer than 255 bytes is not set, as in uWSGI: a long
    User-Agent must not fail the request.
    """
    name = as_bytes(key)
    text = as_bytes(value)
    exchange = require_exchange()
    if len(name) <= 255 and len(text) <= 255:
        exchange.set_logvar(name.decode("latin-1"), text)


def get_logvar(key: str | bytes) -> bytes | None:
    """Return a variable set by set_logvar, or None."""
    logvars = require_exchange().logvars
    return None if logvars is None else logvars.get(as_bytes(key).decode("latin-1"))
