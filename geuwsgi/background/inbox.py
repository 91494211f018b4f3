"""The uwsgi signals that a process receives, and what it does with them.

A signal's handler runs in a greenlet of its own. Which boxes a process reads depends on
what it is; it reads them only while it serves, so that a process that drains leaves
signals to its successor.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import gevent
import gevent.event
from gevent import get_hub

if TYPE_CHECKING:
    from geuwsgi.shared.mailboxes import Mailbox

Handler = Callable[[int], Any]

_READ = 1
# Signals taken from a box a turn of the loop, so that a flood of them cannot stop it.
_AT_ONCE = 64


class SignalInbox:
    """``handlers`` is the application's table, and may grow at any time."""

    def __init__(self, handlers: dict[int, Handler], name: str) -> None:
        self.handlers = handlers
        self.name = name
        #: Called after each signal, for counting.
        self.on_signal: Callable[[], None] | None = None
        self._watchers: list[Any] = []
        self._waiting: list[tuple[int | None, gevent.event.AsyncResult[int]]] = []

    def start(self, boxes: Iterable[Mailbox]) -> None:
        """Read ``boxes`` from now on. Call it in the process that reads."""
        loop = get_hub().loop
        for box in boxes:
            watcher = loop.io(box.fileno(), _READ)
            watcher.start(self._take, box)
            self._watchers.append(watcher)

    def stop(self) -> None:
        """Read no more. Handlers that run go on."""
        for watcher in self._watchers:
            watcher.stop()
            watcher.close()
        self._watchers.clear()

    def wait(self, signal: int | None, timeout_s: float | None = None) -> int | None:
        """Wait for a signal (for any one with None); its handler runs as well.

        Blocks the calling greenlet. Returns None after ``timeout_s``.
        """
        result: gevent.event.AsyncResult[int] = gevent.event.AsyncResult()
        entry = (signal, result)
        self._waiting.append(entry)
        try:
            return result.get(timeout=timeout_s)
        except gevent.Timeout:
            return None
        finally:
            self._waiting.remove(entry)

    def deliver(self, signal: int) -> None:
        """Have a signal handled, and wake who waits for it. Does not wait."""
        for wanted, result in self._waiting:
            if wanted is None or wanted == signal:
                result.set(signal)
        if self.on_signal is not None:
            self.on_signal()
        gevent.spawn(self._handle, signal)

    def _take(self, box: Mailbox) -> None:
        for _ in range(_AT_ONCE):
            received = box.receive()
            if not received:
                return
            self.deliver(received[0])

    def _handle(self, signal: int) -> None:
        handler = self.handlers.get(signal)
        if handler is None:
            self._complain(signal)
            return
        try:
            handler(signal)
        except Exception:
            traceback.print_exc()
            self._complain(signal)

    def _complain(self, signal: int) -> None:
        sys.stderr.write(f"error managing signal {signal} on {self.name}\n")


class Serving(Protocol):
    """What a life needs of the thing that serves."""

    def start(self) -> None: ...

    def stop_accepting(self) -> None: ...

    def accept_the_rest(self, filenos: Container[int]) -> None:
        """Take what waits on these sockets, which are about to be closed. In the hub."""

    def drain(self, *, reason: str, deadline_s: float) -> bool: ...


class WithSignals:
    """Something that serves and, while it does, receives signals."""

    def __init__(
        self, serving: Serving, inbox: SignalInbox, boxes: Iterable[Mailbox]
    ) -> None:
        self._serving = serving
        self._inbox = inbox
        self._boxes = list(boxes)

    def start(self) -> None:
        self._inbox.stop()
        self._inbox.start(self._boxes)
        self._serving.start()

    def stop_accepting(self) -> None:
        self._inbox.stop()
        self._serving.stop_accepting()

    def accept_the_rest(self, filenos: Container[int]) -> None:
        self._serving.accept_the_rest(filenos)

    def drain(self, *, reason: str, deadline_s: float) -> bool:
        self._inbox.stop()
        return self._serving.drain(reason=reason, deadline_s=deadline_s)
