"""Whether a lone worker may go on in the interpreter that has read its configuration.

A fresh interpreter is what every other process begins with, and it is half of the time
until a lone worker answers. So it stays where it is if it cannot tell the difference:
the same variables, nothing imported yet that gevent must have patched before, and no
memory mapped that it would map once more.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geuwsgi.background.commons import Commons
    from geuwsgi.options import Settings

#: Modules that keep what they find when they are imported: locks, sockets, poll.
_MUST_COME_LATER = (
    *("asyncio", "concurrent.futures", "gevent", "multiprocessing", "queue", "ssl"),
    *("httpx", "requests", "urllib3"),
)


def may_stay(
    settings: Settings, commons: Commons, environ: Mapping[str, str], directory: str
) -> bool:
    """Whether this interpreter is as good as a fresh one with ``environ``.

    ``directory`` is where it was started.
    """
    return (
        not wants_fresh(settings, commons, environ)
        and not any(name in sys.modules for name in _MUST_COME_LATER)
        and threading.active_count() == 1
        and _knows_own_entry(directory)
    )


def wants_fresh(
    settings: Settings, commons: Commons, environ: Mapping[str, str]
) -> bool:
    """Whether the options ask for what only a fresh interpreter has."""
    options = settings.process
    return bool(
        dict(environ) != dict(os.environ)
        or min(settings.python.optimize, 2) != sys.flags.optimize
        # It has room for long titles.
        or options.procname
        or options.procname_append
        or options.procname_master
        or options.procname_prefix
        or options.procname_prefix_spaced
        or options.auto_procname
        or len(commons.caches)
        or commons.areas
        or commons.queue
    )


def forget_start(directory: str) -> None:
    """Take from ``sys.path`` what stands there because of how Python was started.

    There the application's own ``queue.py`` would be taken for the library's. Only
    after `may_stay`.
    """
    if not _is_without_own_entry():
        del sys.path[0]
    sys.path[:] = [entry for entry in sys.path if entry]
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parent = os.path.realpath(os.path.dirname(package))
    if parent not in sys.path:
        sys.path.append(parent)


def _is_without_own_entry() -> bool:
    # -P, of Python 3.11.
    return bool(getattr(sys.flags, "safe_path", False) or sys.flags.isolated)


def _knows_own_entry(directory: str) -> bool:
    """Whether the first entry is known: the script's directory, or ``-m``'s."""
    if _is_without_own_entry():
        return True
    script = os.path.dirname(os.path.realpath(sys.argv[0]))
    return bool(sys.path) and sys.path[0] in (directory, script)
