"""Mules: processes beside the workers that wait for messages or run a program.

A mule without a program takes messages one after another, from its own box, from the
one of all mules and from those of its farms, and gives each to
``uwsgi.mule_msg_hook``. A mule with one runs it once and ends; the master starts it
again.
"""

from __future__ import annotations

import importlib
import runpy
import sys
import traceback
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gevent
import gevent.event
from gevent import get_hub

from geuwsgi.background.harakiri import process_harakiri
from geuwsgi.errors import ConfigError

if TYPE_CHECKING:
    from geuwsgi.shared.mailboxes import Mailbox

_READ = 1
RESPAWN_STATUS = 1


class MessageWaiter:
    """Waits in a hub for the first message in any of several boxes."""

    def __init__(self, boxes: Sequence[Mailbox]) -> None:
        self._boxes = boxes

    def wait(self, timeout_s: float | None, size: int = 65536) -> bytes | None:
        """Return the next message, cut to ``size``, or None after ``timeout_s``.

        Blocks the calling greenlet. ``timeout_s`` None waits for ever.
        """
        timeout = gevent.Timeout(timeout_s) if timeout_s is not None else None
        ready = gevent.event.Event()
        watchers: list[Any] = []
        try:
            if timeout is not None:
                timeout.start()
            while True:
                for box in self._boxes:
                    message = box.receive(size)
                    if message is not None:
                        return message
                if not watchers:
                    loop = get_hub().loop
                    for box in self._boxes:
                        watcher = loop.io(box.fileno(), _READ)
                        watcher.start(ready.set)
                        watchers.append(watcher)
                ready.wait()
                ready.clear()
        except gevent.Timeout as exc:
            if exc is not timeout:
                raise
            return None
        finally:
            if timeout is not None:
                timeout.close()
            for watcher in watchers:
                watcher.stop()
                watcher.close()


@dataclass(frozen=True)
class MuleTask:
    """What one mule is for. ``program`` is a file, ``module:callable`` or nothing.

    Messages are cut to ``message_size`` bytes.
    """

    number: int
    program: str
    harakiri_s: float
    message_size: int = 65536


class Mule:
    """One mule's life, as the life of its process wants it: start and drain.

    ``before`` is called first, in the mule's greenlet: it may never return (the
    decorators of uwsgidecorators work so). ``find_hook`` returns the application's
    message hook, if there is one. ``end`` is told the exit status when the program is
    over.
    """

    def __init__(
        self,
        task: MuleTask,
        waiter: MessageWaiter,
        *,
        before: Callable[[], object],
        find_hook: Callable[[], Callable[[bytes], object] | None],
        end: Callable[[int], object],
    ) -> None:
        self._task = task
        self._waiter = waiter
        self._before = before
        self._find_hook = find_hook
        self._end = end
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._busy = False
        self._draining = False

    def start(self) -> None:
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def stop_accepting(self) -> None:
        """Take no more messages. What runs goes on."""
        self._draining = True
        if self._greenlet is not None and not self._busy:
            self._greenlet.kill(block=False)

    def accept_the_rest(self, filenos: Container[int]) -> None:
        """Messages that wait stay where they are, for the next one."""

    def drain(self, *, reason: str, deadline_s: float) -> bool:
        """Let a message that is being worked on be finished; False if it was not.

        A program has no end of its own to wait for: it is told (GreenletExit) and
        has until the deadline to leave.
        """
        self.stop_accepting()
        if self._greenlet is None:
            return True
        if self._task.program:
            self._greenlet.kill(timeout=deadline_s)
        else:
            self._greenlet.join(timeout=deadline_s)
        if self._greenlet.ready():
            return True
        self._greenlet.kill(block=False)
        return False

    def _run(self) -> None:
        status = RESPAWN_STATUS
        try:
            self._before()
            if self._task.program:
                run_program(self._task.program)
                status = 0
            else:
                self._serve()
                return
        except SystemExit as exc:
            status = exc.code if isinstance(exc.code, int) else RESPAWN_STATUS
        except BaseException as exc:
            if self._draining and isinstance(exc, gevent.GreenletExit):
                return
            traceback.print_exc()
        self._end(status)

    def _serve(self) -> None:
        while not self._draining:
            message = self._waiter.wait(None, self._task.message_size)
            if message is not None:
                self._busy = True
                try:
                    self._handle(message)
                finally:
                    self._busy = False

    def _handle(self, message: bytes) -> None:
        hook = self._find_hook()
        if hook is None:
            sys.stderr.write(
                f"*** mule {self._task.number} received a {len(message)} bytes"
                " message and has no mule_msg_hook\n"
            )
            return
        what = f"mule {self._task.number} with a message of {len(message)} bytes"
        try:
            with process_harakiri(self._task.harakiri_s, what):
                hook(message)
        except SystemExit:
            raise
        except BaseException:
            if self._draining:
                raise  # it is cut
            traceback.print_exc()


def run_program(program: str) -> None:
    """Run a Python file as ``__main__``, or call ``module:callable``.

    Raises whatever it raises, and ConfigError for a callable that is not there.
    """
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
        return
    module_name, colon, name = program.partition(":")
    if not colon:
        module_name, _, name = program.rpartition(".")
    name = name.removesuffix("()")
    try:
        target: Any = importlib.import_module(module_name)
        for part in name.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigError(f"mule: cannot find {program!r}: {exc}") from exc
    target()
