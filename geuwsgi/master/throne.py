"""An emperor alone: a process that does nothing but look after vassals.

Signals as uWSGI's: HUP reloads all vassals, WINCH looks at the files at once, USR1 logs
how the vassals do; INT and QUIT stop them at once, TERM lets them finish. Asked twice
to stop, the emperor kills.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
import traceback
from collections.abc import Callable
from typing import Final

from geuwsgi.master.emperor import Emperor, Rule
from geuwsgi.master.signals import SignalQueue

_LISTENED: Final = (
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGWINCH,
)
_TURN_S: Final = 1.0


class Throne:
    """The loop of a process whose only duty is an emperor's."""

    def __init__(
        self,
        rule: Rule,
        log: Callable[[str], None],
        *,
        every_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._selector = selectors.DefaultSelector()
        self._expected: dict[int, Callable[[int], None]] = {}
        self._emperor = Emperor(rule, self, log)
        self._every_turn = every_turn
        self._actions: dict[int, Callable[[], None]] = {
            signal.SIGHUP: self._emperor.reload,
            signal.SIGINT: lambda: self._emperor.stop(gracefully=False),
            signal.SIGQUIT: lambda: self._emperor.stop(gracefully=False),
            signal.SIGTERM: self._terminate,
            signal.SIGUSR1: self._log_statistics,
            signal.SIGWINCH: self._emperor.search_now,
            signal.SIGCHLD: self._reap,
        }

    def run(self) -> int:
        """Reign until told to stop and all vassals have ended; return 0."""
        signals = SignalQueue(_LISTENED)
        self._selector.register(
            signals, selectors.EVENT_READ, lambda: self._signalled(signals)
        )
        try:
            self._emperor.begin()
            while not self._emperor.realm.is_over:
                for key, _ in self._selector.select(self._patience()):
                    self._guard(key.data)
                self._guard(lambda: self._emperor.tick(self.now()))
                self._guard(self._every_turn)
            self._log("the emperor is buried.")
            return 0
        finally:
            self._emperor.close()
            signals.close()
            self._selector.close()

    # -- what the emperor may ask for (emperor.Court) ----------------------------------

    def watch(self, fileno: int, callback: Callable[[], None]) -> None:
        self._selector.register(fileno, selectors.EVENT_READ, callback)

    def unwatch(self, fileno: int) -> None:
        self._selector.unregister(fileno)

    def expect(self, pid: int, callback: Callable[[int], None]) -> None:
        self._expected[pid] = callback

    def dismiss(self, pid: int, limit_s: float) -> None:
        """Not used by an emperor that is waited for."""
        self._expected[pid] = lambda status: None

    def now(self) -> float:
        return time.monotonic()

    # ----------------------------------------------------------------------------------

    def _patience(self) -> float:
        remaining_s = self._emperor.next_deadline() - self.now()
        return min(max(0.0, remaining_s), _TURN_S)

    def _guard(self, step: Callable[[], None]) -> None:
        """Take one step; a bug in it must not end the sites."""
        try:
            step()
        except Exception:
            self._log(traceback.format_exc().rstrip())

    def _signalled(self, signals: SignalQueue) -> None:
        for number in signals.read():
            self._actions.get(number, lambda: None)()

    def _terminate(self) -> None:
        self._emperor.stop(gracefully=not self._emperor.realm.is_stopping)

    def _reap(self) -> None:
        """Bury every child, known or not: an emperor may be PID 1."""
        while True:
            try:
                pid, waited = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            callback = self._expected.pop(pid, None)
            if callback is not None:
                status = os.waitstatus_to_exitcode(waited)
                self._guard(lambda: callback(status))  # noqa: B023 - called at once

    # -- statistics --------------------------------------------------------------------

    def _log_statistics(self) -> None:
        self._log(json.dumps(self._emperor.statistics()))
