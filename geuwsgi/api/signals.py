"""uwsgi signals, timers, crons and file monitors in the ``uwsgi`` module."""

from __future__ import annotations

import operator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gevent.local import local

from geuwsgi.background.remote import RemoteRefused, send_signal
from geuwsgi.shared.signaltable import Cron, TableFull, Timer, WatchedFile

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.background.inbox import Handler


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions."""
    functions = SignalFunctions(context)
    for name in SignalFunctions.NAMES:
        setattr(module, name, getattr(functions, name))


class SignalFunctions:
    """A signal is a number from 0 to 255; larger ones wrap, as in uWSGI."""

    NAMES = (
        "register_signal",
        "signal",
        "signal_registered",
        "signal_wait",
        "signal_received",
        "add_timer",
        "add_ms_timer",
        "add_rb_timer",
        "add_cron",
        "add_file_monitor",
    )

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._received = local()

    def register_signal(self, signum: int, target: str, handler: Handler, /) -> None:
        """Have ``handler(signum)`` called where ``target`` says.

        Raises ValueError without a master or for a target that is too long.
        """
        signal = _as_signal(signum)
        if not isinstance(target, str):
            raise TypeError(f"a target is a str, not {type(target).__name__}")
        table = self._context.commons.signal_table
        if not self._context.master_pid or table is None or handler is None:
            raise ValueError("unable to register signal")
        try:
            table.register(signal, target.encode())
        except ValueError:
            raise ValueError("unable to register signal") from None
        self._context.background.handlers[signal] = handler

    def signal(self, signum: int, address: str = "", /) -> None:
        """Raise a signal, here or on the server at ``address``.

        One that is not registered here is dropped. Raises OSError if the server
        cannot be reached and ValueError if it does not know the signal.
        """
        signal = _as_signal(signum)
        if address:
            try:
                send_signal(address, signal)
            except RemoteRefused:
                raise ValueError("node rejected signal") from None
            except OSError as exc:
                raise OSError(
                    f"unable to deliver signal {signal} to node {address}"
                ) from exc
            return
        router = self._context.commons.router
        if router is not None:
            router.send(signal)

    def signal_registered(self, signum: int, /) -> bool | None:
        """Return True if the signal is registered, else None."""
        table = self._context.commons.signal_table
        if table is None:
            return None
        return table.target(_as_signal(signum)) is not None or None

    def signal_wait(self, signum: int | None = None, /) -> bytes:
        """Wait until this process receives the signal, or any without a number."""
        wanted = None if signum is None else _as_signal(signum)
        self._received.signal = self._context.background.inbox.wait(wanted)
        return b""

    def signal_received(self) -> int:
        """Return what ``signal_wait`` waited for in this greenlet."""
        return int(getattr(self._received, "signal", 0))

    def add_timer(self, signum: int, seconds: int, /) -> None:
        """Raise a signal every so many seconds. At most 64 timers."""
        self._add_timer(Timer(_as_signal(signum), _as_ms(seconds)), "add timer")

    def add_ms_timer(self, signum: int, milliseconds: int, /) -> None:
        """Raise a signal every so many milliseconds (uWSGI 2.1)."""
        interval = max(1, operator.index(milliseconds))
        self._add_timer(Timer(_as_signal(signum), interval), "add timer")

    def add_rb_timer(self, signum: int, seconds: int, iterations: int = 0, /) -> None:
        """Raise a signal every so many seconds, ``iterations`` times or for ever."""
        timer = Timer(_as_signal(signum), _as_ms(seconds), max(0, iterations))
        self._add_timer(timer, "add rb_timer", rb=True)

    def _add_timer(self, timer: Timer, what: str, *, rb: bool = False) -> None:
        table = self._context.commons.signal_table
        try:
            if table is None:
                raise TableFull
            table.add_timer(timer, rb=rb)
        except TableFull:
            raise ValueError(f"unable to {what}") from None

    def add_cron(
        self,
        signum: int,
        minute: int,
        hour: int,
        day: int,
        month: int,
        weekday: int,
        /,
    ) -> bool:
        """Raise a signal at times: -1 is any, -N every N, weekday 0 or 7 Sunday."""
        numbers = [operator.index(n) for n in (minute, hour, day, month, weekday)]
        cron = Cron(_as_signal(signum), *numbers)
        table = self._context.commons.signal_table
        try:
            if table is None:
                raise TableFull
            table.add_cron(cron)
        except TableFull:
            raise ValueError("unable to add cron") from None
        return True

    def add_file_monitor(self, signum: int, path: str, /) -> None:
        """Raise a signal when something happens to a file or in a directory."""
        if not isinstance(path, str):
            raise TypeError(f"a path is a str, not {type(path).__name__}")
        table = self._context.commons.signal_table
        try:
            if table is None:
                raise TableFull
            table.add_file(WatchedFile(_as_signal(signum), path.encode()))
        except (TableFull, ValueError):
            raise ValueError("unable to add file monitor") from None


def _as_signal(number: Any) -> int:
    return operator.index(number) & 0xFF


def _as_ms(seconds: Any) -> int:
    return max(1, operator.index(seconds)) * 1000
