"""Reload when the source of the application changes (py-autoreload), for developers.

The processes tell which files they were loaded from; the master only looks at times,
every so often and, where inotify tells that something was written beside one of them,
at once. A generation that fails tells too, so that mending the broken file is noticed.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping
from typing import Final

from geuwsgi.master.duty import Desk
from geuwsgi.master.events import Request
from geuwsgi.master.inotify import (
    IN_ATTRIB,
    IN_CLOSE_WRITE,
    IN_MOVED_TO,
    InotifyDuty,
)
from geuwsgi.master.touch import ABSENT, time_of
from geuwsgi.options import Settings

#: From the first write until the look: who writes one file seldom writes it alone.
_SETTLED_S: Final = 0.1


class AutoreloadDuty(InotifyDuty):
    """Looks at the known sources each ``interval_s``, and when inotify says so."""

    def __init__(self, interval_s: float) -> None:
        super().__init__()
        self.key = ("py-autoreload", interval_s)
        self._interval_s = interval_s
        self._next_look = 0.0
        self._hurried = math.inf
        self._times: dict[str, int] = {}
        self._directories: set[str] = set()

    def begin(self, desk: Desk) -> None:
        with contextlib.suppress(OSError):  # then looking every so often must do
            self.open(desk, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ATTRIB)
        self._watch(self._times)

    def learn_sources(self, files: Mapping[str, int]) -> None:
        for path, modified_ns in files.items():
            self._times.setdefault(path, modified_ns)
        self._watch(files)

    def next_deadline(self) -> float:
        return self._hurried

    def tick(self, now: float) -> None:
        if now < min(self._next_look, self._hurried):
            return
        self._next_look = now + self._interval_s
        self._hurried = math.inf
        changed = [path for path in self._times if self._has_changed(path)]
        if changed and self._desk is not None:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            self._desk.ask(Request.RELOAD, f"{changed[0]}{more} was modified")

    def _watch(self, paths: Mapping[str, int]) -> None:
        if self._inotify is None:
            return
        for directory in {os.path.dirname(path) for path in paths} - self._directories:
            self._directories.add(directory)
            with contextlib.suppress(OSError):  # gone, or one watch too many
                self._inotify.add(directory)

    def happened(self, paths: list[str]) -> None:
        assert self._desk is not None
        self._hurried = min(self._hurried, self._desk.now() + _SETTLED_S)

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
