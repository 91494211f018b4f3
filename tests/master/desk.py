"""A master for duties under test: it notes what is asked and buries children."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from geuwsgi.master.duty import Word
from geuwsgi.master.events import Event, Request
from geuwsgi.master.inquiry import Deliver
from geuwsgi.master.processes import MemberProcess


class PaperDesk:
    """Implements ``duty.Desk``."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, str]] = []
        self.events: list[Event] = []
        self.watched: dict[int, Callable[[], None]] = {}
        self.children: dict[int, Callable[[int], None]] = {}
        self.ends = False
        self.workers: list[MemberProcess] = []
        self.wanted = 0
        self.pidfiles_written = 0
        self.logs: list[str] = []
        self.ear: Callable[[bytes], None] | None = None
        self.clock = time.monotonic

    def ask(self, request: Request, why: str) -> None:
        self.asked.append((request, why))

    def watch(self, fileno: int, callback: Callable[[], None]) -> None:
        assert fileno not in self.watched
        self.watched[fileno] = callback

    def unwatch(self, fileno: int) -> None:
        del self.watched[fileno]

    def put(self, event: Event) -> None:
        self.events.append(event)

    def inquire(self, name: str, deliver: Deliver) -> None:
        deliver({})

    def serving_workers(self) -> list[MemberProcess]:
        return self.workers

    def wanted_workers(self) -> int:
        return self.wanted

    def send_signal(self, member: MemberProcess, number: int) -> None:
        raise AssertionError("nobody is signalled here")

    def raise_signal(self, number: int) -> None:
        self.logs.append(f"signal {number}")

    def toggle_subscriptions(self) -> None:
        self.logs.append("subscriptions")

    def log_statistics(self) -> None:
        self.logs.append("statistics")

    def sections(self) -> dict[str, Any]:
        return {}

    def hear_log(self, callback: Callable[[bytes], None] | None) -> None:
        self.ear = callback

    def tell_duties(self, word: Word) -> None:
        self.logs.append(word.name)

    def reopen_logs(self) -> None:
        self.logs.append("reopen")

    def rotate_logs(self) -> None:
        self.logs.append("rotate")

    def write_pidfiles(self) -> None:
        self.pidfiles_written += 1

    def expect(self, pid: int, callback: Callable[[int], None]) -> None:
        self.children[pid] = callback

    def dismiss(self, pid: int, limit_s: float) -> None:
        self.children[pid] = lambda status: None

    def now(self) -> float:
        return self.clock()

    def is_leaving(self) -> bool:
        return self.ends

    def is_ending(self) -> bool:
        return self.ends

    def wait_for_children(self) -> None:
        """Bury every expected child, and tell who expects it."""
        while self.children:
            pid = next(iter(self.children))
            _, waited = os.waitpid(pid, 0)
            self.children.pop(pid)(os.waitstatus_to_exitcode(waited))
