"""A spooler process: it looks for tasks and gives them to the application.

One task at a time. It looks when the directory changes (inotify), when a task that
failed may be tried again, and every ``frequency`` seconds. A task that fails is tried
again after ``frequency`` seconds, not at each look: uWSGI's spooler runs in circles
around a failing task.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

import gevent
import gevent.event
from gevent import get_hub

from geuwsgi.background.filewatch import FileWatch
from geuwsgi.background.harakiri import process_harakiri
from geuwsgi.background.spooler.files import SpoolError, Task, TaskFile, due_at, scan

_READ = 1
SPOOL_RETRY, SPOOL_OK, SPOOL_IGNORE = -1, -2, 0
# Without inotify the directory is looked at this often.
_POLL_S = 1.0

Callback = Callable[[dict[Any, bytes]], Any]


class TaskDictionary(dict[Any, bytes]):
    """What the application gets: found by bytes and by str.

    As uWSGI has it, the task's own keys are bytes, and ``spooler_task_name`` and
    ``body`` are str; users look for them either way.
    """

    def __missing__(self, key: Any) -> bytes:
        other = _other(key)
        if other is None or other not in self.keys():
            raise KeyError(key)
        return super().__getitem__(other)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or super().__contains__(_other(key))

    def get(self, key: Any, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default


def _other(key: object) -> str | bytes | None:
    if isinstance(key, bytes):
        return key.decode("utf-8", "replace")
    return key.encode() if isinstance(key, str) else None


@dataclass(frozen=True)
class SpoolerOptions:
    """How one spooler works."""

    directory: str
    frequency_s: float = 30.0
    ordered: bool = False
    quiet: bool = False
    chdir: str = ""
    harakiri_s: float = 0.0
    max_tasks: int = 0
    signals_count: bool = False


class Spooler:
    """One spooler's life, as the life of its process wants it: start and drain.

    ``find_callback`` returns ``uwsgi.spooler``, if the application set it.
    ``find_frequency`` returns what the application set instead of the configured
    frequency, or 0. ``retire`` is told why when the process should be replaced.
    """

    def __init__(
        self,
        options: SpoolerOptions,
        *,
        before: Callable[[], object],
        find_callback: Callable[[], Callback | None],
        find_frequency: Callable[[], float],
        retire: Callable[[str], object],
    ) -> None:
        self.options = options
        self.tasks_done = 0
        self._before = before
        self._find_callback = find_callback
        self._find_frequency = find_frequency
        self._retire = retire
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._wake = gevent.event.Event()
        self._draining = False
        self._not_before: dict[str, float] = {}

    def start(self) -> None:
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def stop_accepting(self) -> None:
        """Begin no more tasks."""
        self._draining = True
        self._wake.set()

    def accept_the_rest(self, filenos: Container[int]) -> None:
        """Tasks that wait stay on the disk."""

    def drain(self, *, reason: str, deadline_s: float) -> bool:
        """Let the task that runs be finished; False if it was cut.

        A task that is cut stays on the disk.
        """
        self.stop_accepting()
        if self._greenlet is None:
            return True
        self._greenlet.join(timeout=deadline_s)
        if self._greenlet.ready():
            return True
        self._greenlet.kill(block=False)
        return False

    def wake(self) -> None:
        """Look for tasks now."""
        self._wake.set()

    def count_signal(self) -> None:
        """A signal was handled, which may count as a task."""
        if self.options.signals_count:
            self._count()
            self._wake.set()

    # The loop

    def _run(self) -> None:
        try:
            self._before()
        except Exception:
            traceback.print_exc()
        watch = FileWatch()
        watcher: Any = None
        known: dict[str, int] = {}
        try:
            if watch.fileno() >= 0:
                watcher = get_hub().loop.io(watch.fileno(), _READ)
                watcher.start(self._wake.set)
            while not self._draining:
                self._wake.clear()
                watch.changed()
                self._watch_directories(watch, known)
                if self._look():
                    continue
                self._wake.wait(timeout=self._patience(watcher is not None))
        finally:
            if watcher is not None:
                watcher.stop()
                watcher.close()
            watch.close()

    def _watch_directories(self, watch: FileWatch, known: dict[str, int]) -> None:
        """Watch the directory and those of its priorities that came up."""
        directory = self.options.directory
        found = [directory]
        try:
            with os.scandir(directory) as entries:
                found += [e.path for e in entries if e.is_dir(follow_symlinks=False)]
        except OSError as exc:
            self._say(f"cannot read {directory}: {exc.strerror}")
        for path in found:
            if path not in known:
                known[path] = len(known)
                watch.add(known[path], os.fsencode(path))

    def _patience(self, has_inotify: bool) -> float:
        frequency = self._find_frequency() or self.options.frequency_s or 30.0
        patience = frequency if has_inotify else min(frequency, _POLL_S)
        if self._not_before:
            soonest = min(self._not_before.values()) - time.monotonic()
            patience = min(patience, max(0.05, soonest))
        return patience

    def _look(self) -> bool:
        """Work on what can be worked on; True if there was anything."""
        worked = False
        now = time.monotonic()
        paths = list(scan(self.options.directory, ordered=self.options.ordered))
        for path in self._not_before.keys() - set(paths):
            del self._not_before[path]
        for path in paths:
            if self._draining:
                return False
            if self._not_before.get(path, 0.0) > now:
                continue
            file = TaskFile.claim(path, time.time())
            if file is None:
                self._wait_for_its_time(path, now)
                continue
            try:
                worked = self._work(file) or worked
            finally:
                file.close()
            # Signals, timers and the heartbeat have their turn between tasks.
            gevent.sleep(0)
        return worked

    def _wait_for_its_time(self, path: str, now: float) -> None:
        """Look at a task again when its time has come, if that is why it waits."""
        with contextlib.suppress(OSError):
            seconds = due_at(os.stat(path)) - time.time()
            if seconds > 0:
                # Looked at again and again: the clock may be put right meanwhile.
                frequency = self._find_frequency() or self.options.frequency_s or 30.0
                self._not_before[path] = now + min(seconds, frequency)

    # One task

    def _work(self, file: TaskFile) -> bool:
        """Do one task; True if it was finished."""
        name = os.path.basename(file.path)
        callback = self._find_callback()
        try:
            task = file.read()
        except SpoolError as exc:
            self._say(f"{exc}; it is left where it is")
            self._not_before[file.path] = float("inf")
            return False
        if callback is None:
            self._say(f"task {name} waits: there is no spooler function")
            self._put_off(file.path)
            return False
        if not self.options.quiet:
            self._say(f"managing request {name} ...")
        began = time.monotonic()
        result = self._call(callback, task, name)
        if result == SPOOL_OK:
            file.remove()
            if not self.options.quiet:
                seconds = int(time.monotonic() - began)
                self._say(f"done with task {name} after {seconds} seconds")
        elif result == SPOOL_IGNORE:
            # This process has nothing to do with it; another one may.
            self._not_before[file.path] = float("inf")
        else:
            self._put_off(file.path)
        self._count()
        return result == SPOOL_OK

    def _call(self, callback: Callback, task: Task, name: str) -> int:
        arguments = TaskDictionary(task.fields)
        arguments["spooler_task_name"] = os.fsencode(name)
        if task.body:
            arguments["body"] = task.body
        try:
            os.chdir(self.options.chdir or self.options.directory)
            with process_harakiri(self.options.harakiri_s, f"spooler task {name}"):
                result = callback(arguments)
        except BaseException:
            if self._draining:
                raise  # it is cut
            # Also what would end the greenlet, or the process and each of its
            # successors: they would all begin with this task.
            traceback.print_exc()
            return SPOOL_RETRY
        return result if type(result) is int else SPOOL_RETRY

    def _put_off(self, path: str) -> None:
        frequency = self._find_frequency() or self.options.frequency_s
        self._not_before[path] = time.monotonic() + max(frequency, 0.05)

    def _count(self) -> None:
        self.tasks_done += 1
        limit = self.options.max_tasks
        if limit and self.tasks_done == limit:
            self._draining = True
            self._retire(f"spooler-max-tasks: {limit} tasks")

    def _say(self, text: str) -> None:
        sys.stderr.write(
            f"[spooler {self.options.directory} pid: {os.getpid()}] {text}\n"
        )
