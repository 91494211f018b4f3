"""Reload when the source of the application changes (py-autoreload), for developers.

The processes tell which files they were loaded from; the master only looks at times.
A generation that fails tells too, so that mending the broken file is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping

from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.events import Request
from geuwsgi.master.touch import ABSENT, time_of
from geuwsgi.options import Settings


class AutoreloadDuty(Duty):
    """Looks at the known sources each ``interval_s``."""

    def __init__(self, interval_s: float) -> None:
        self.key = ("py-autoreload", interval_s)
        self._interval_s = interval_s
        self._next_look = 0.0
        self._times: dict[str, int] = {}
        self._desk: Desk | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk

    def learn_sources(self, files: Mapping[str, int]) -> None:
        for path, modified_ns in files.items():
            self._times.setdefault(path, modified_ns)

    def tick(self, now: float) -> None:
        if now < self._next_look:
            return
        self._next_look = now + self._interval_s
        changed = [path for path in self._times if self._has_changed(path)]
        if changed and self._desk is not None:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            self._desk.ask(Request.RELOAD, f"{changed[0]}{more} was modified")

    def _has_changed(self, path: str) -> bool:
        modified_ns = time_of(path)
        # Editors remove the file for a moment; what counts is what comes after.
        if modified_ns in (ABSENT, self._times[path]):
            return False
        self._times[path] = modified_ns
        return True


def autoreload_duty(settings: Settings) -> AutoreloadDuty | None:
    interval_s = settings.reload.py_autoreload
    return AutoreloadDuty(interval_s) if interval_s > 0 else None
