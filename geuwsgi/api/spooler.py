"""The spooler in the ``uwsgi`` module; only if there is one to write for."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gevent import get_hub

from geuwsgi.background.spooler.files import (
    SpoolError,
    TaskWriter,
    read_task,
    scan,
)
from geuwsgi.background.spooler.process import (
    SPOOL_IGNORE,
    SPOOL_OK,
    SPOOL_RETRY,
    TaskDictionary,
)

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext

# A larger body is written by a thread: on a busy disk it takes long.
_LARGE_BODY = 256 * 1024


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions if there is a directory to write tasks to."""
    options = context.configuration.settings.spooler
    directories = [os.path.abspath(d) for d in options.spooler]
    external = [os.path.abspath(d) for d in options.spooler_external]
    if not directories and not external:
        return
    functions = SpoolerFunctions(context, directories + external)
    values = {
        "spoolers": tuple(os.fsencode(d) for d in directories + external),
        "SPOOL_OK": SPOOL_OK,
        "SPOOL_RETRY": SPOOL_RETRY,
        "SPOOL_IGNORE": SPOOL_IGNORE,
        "spool": functions.spool,
        "send_to_spooler": functions.spool,
    }
    for name, value in values.items():
        setattr(module, name, value)
    for name in SpoolerFunctions.NAMES:
        setattr(module, name, getattr(functions, name))


class SpoolerFunctions:
    """``directories`` is where tasks may go, the first one by default."""

    NAMES = (
        "set_spooler_frequency",
        "spooler_jobs",
        "spooler_get_task",
        "spooler_pid",
        "spooler_pids",
    )

    def __init__(self, context: ApiContext, directories: list[str]) -> None:
        self._context = context
        self._directories = directories
        self._writer = TaskWriter()

    def spool(
        self, task: dict[Any, Any] | None = None, /, *_ignored: object, **more: Any
    ) -> bytes:
        """Write a task for a spooler and return the path of its file.

        Keys and values are bytes. ``spooler``, ``priority``, ``at`` and ``body`` say
        where it goes, before what, when, and what comes with it; the last is taken out
        of the dictionary. Raises ValueError for what cannot be written.
        """
        if task is not None and not isinstance(task, dict):
            raise ValueError("The argument of spooler callable must be a dictionary")
        if task is None and not more:
            raise ValueError("The argument of spooler callable must be a dictionary")
        fields = _as_bytes_only({**(task or {}), **more})
        body = fields.pop(b"body", b"")
        if task is not None:
            task.pop(b"body", None)
        directory = os.fsdecode(
            fields.get(b"spooler", os.fsencode(self._directories[0]))
        )
        priority = os.fsdecode(fields.get(b"priority", b""))
        at = _as_time(fields.get(b"at", b""))
        arguments = {"body": body, "priority": priority, "at": at}
        try:
            if len(body) > _LARGE_BODY:
                pool = get_hub().threadpool
                path = pool.apply(self._writer.write, (directory, fields), arguments)
            else:
                path = self._writer.write(directory, fields, **arguments)  # type: ignore[arg-type]
        except SpoolError as exc:
            raise ValueError("unable to spool job") from exc
        return os.fsencode(path)

    def set_spooler_frequency(self, seconds: int, /) -> bool:
        """Have spoolers look for tasks every so many seconds; True."""
        number = operator.index(seconds)
        if self._context.commons.roster is not None:
            self._context.commons.roster.spooler_frequency_s = number
        return True

    def spooler_jobs(self) -> list[bytes]:
        """Return the paths of the tasks that wait in the first directory."""
        return [os.fsencode(path) for path in scan(self._directories[0])]

    def spooler_get_task(self, path: str, /) -> dict[Any, bytes] | None:
        """Return what a task file holds; None if it is none."""
        if not isinstance(path, str):
            raise TypeError(f"a path is a str, not {type(path).__name__}")
        try:
            task = read_task(path)
        except (OSError, SpoolError):
            return None
        found = TaskDictionary({"spooler_task_name": os.fsencode(path)})
        found.update(task.fields)
        if task.body:
            found["body"] = task.body
        return found

    def spooler_pid(self) -> int:
        """Return the process id of the first spooler, 0 if none runs."""
        return next(iter(self.spooler_pids()), 0)

    def spooler_pids(self) -> list[int]:
        """Return the process ids of the spoolers."""
        roster = self._context.commons.roster
        return roster.spooler_pids() if roster is not None else []


def _as_bytes_only(task: Mapping[Any, Any]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for key, value in task.items():
        try:
            if not isinstance(key, bytes) or isinstance(value, str | int):
                raise TypeError
            fields[key] = bytes(value)
        except (TypeError, ValueError):
            raise ValueError(
                "spooler callable dictionary must contains only bytes"
            ) from None
    return fields


def _as_time(text: bytes) -> float:
    try:
        return float(int(text))
    except ValueError:
        return 0.0
