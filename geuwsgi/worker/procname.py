"""Process titles: what ``ps`` shows.

Linux shows the memory the process was given its arguments in, so a title is written
over it, and over the environment behind it once that has been copied elsewhere. Where
that is not possible the title is left alone: nobody fails for it. The short name
(``comm``, 15 bytes) is never touched; tools look for it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geuwsgi.options import Process

# Fields of /proc/self/stat, counted from 0 behind the name in parentheses: proc(5).
_ARG_START = 45


@dataclass(frozen=True)
class Titles:
    """The options procname*, and ``default``: the title if none of them is used.

    An empty default leaves the title that the process has.
    """

    every: str = ""
    master: str = ""
    prefix: str = ""
    append: str = ""
    automatic: bool = False
    default: str = ""

    @classmethod
    def of(cls, process: Process, default: str = "") -> Titles:
        prefix = process.procname_prefix or ""
        if process.procname_prefix_spaced:
            prefix = process.procname_prefix_spaced + " "
        return cls(
            every=process.procname or "",
            master=process.procname_master or "",
            prefix=prefix,
            append=process.procname_append or "",
            automatic=process.auto_procname,
            default=default,
        )

    def title(self, what: str) -> str:
        """The title of the process that is ``what``: "master", "worker 1", …"""
        name = self.every or f"uWSGI {what}"
        if what == "master" and self.master:
            name = self.master
        if not (
            self.automatic or self.every or self.master or self.prefix or self.append
        ):
            return self.default
        return f"{self.prefix}{name}{self.append}"

    def set(self, what: str) -> None:
        title = self.title(what)
        if title:
            set_title(title)


def set_title(title: str) -> bool:
    """Show ``title`` for this process; False where the system does not let us."""
    room = _argument_room()
    if room is None:
        return False
    start, end, env_start, env_end = room
    limit = end - start
    if env_start == end and env_end > env_start:
        _copy_environment()
        limit = env_end - start
    text = title.encode("utf-8", "surrogateescape")[: limit - 1]
    # The kernel takes a missing NUL at the end of the arguments for a title that goes
    # on into the environment; else it shows all of the arguments, NULs included.
    ctypes.memset(start, 0, max(end - start, len(text) + 1))
    ctypes.memmove(start, text, len(text))
    if len(text) < end - start:
        ctypes.memset(end - 1, ord(" "), 1)
    return True


def _argument_room() -> tuple[int, int, int, int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(fields) < _ARG_START + 4:
        return None
    start, end, env_start, env_end = map(int, fields[_ARG_START : _ARG_START + 4])
    if not 0 < start < end:
        return None
    return start, end, env_start, env_end


def _copy_environment() -> None:
    """Have the C library keep the variables elsewhere than the kernel put them."""
    for name, value in os.environb.items():
        os.environb[name] = value
