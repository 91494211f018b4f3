"""The first code of a fresh interpreter: patch, then everything else.

Nothing is imported here before gevent has patched the standard library, so that no
module of the application holds an unpatched lock or socket. (Those of geuwsgi that a
lone worker has imported before hold none.)
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.machinery import PathFinder
from typing import Any, NoReturn


def main(boot_fd: int) -> NoReturn:
    """Be a template, or a lone worker, as the boot record behind ``boot_fd`` says."""
    # What modules are made of is no garbage: neither now nor when the application is
    # imported is it worth looking through. A twelfth of the time to start.
    gc.disable()
    _patch()

    from geuwsgi.worker.template import run

    gc.freeze()
    gc.enable()
    run(boot_fd)


def _patch() -> None:
    """Make the standard library cooperative.

    gevent looks for plugins in the metadata of every installed distribution at each of
    its 25 steps, which was most of the time it took (0.1 s where 100 are installed).
    They are read once, and by no more than a look where there are none: a tenth of what
    is imported until the first request was what reads them.
    """
    from gevent import monkey

    events: Any = import_module("gevent.events")  # whose stub does not know the half
    notify = events.notify_and_call_entry_points
    if may_have_plugins(sys.path, sys.meta_path):
        from importlib import metadata

        read, found = metadata.entry_points, metadata.entry_points()
        metadata.entry_points = found.select
        try:
            monkey.patch_all()
        finally:
            metadata.entry_points = read
        return
    events.notify_and_call_entry_points = events.notify
    try:
        monkey.patch_all()
    finally:
        events.notify_and_call_entry_points = notify


def may_have_plugins(search_path: Iterable[str], finders: Iterable[object]) -> bool:
    """Whether a distribution may want to hear of gevent's patching.

    True as well where a plain look at the directories of ``search_path`` does not tell.
    """
    if any(
        hasattr(finder, "find_distributions") and finder is not PathFinder
        for finder in finders
    ):
        return True
    for directory in search_path:
        if not directory:
            continue
        try:
            names = os.listdir(directory)
        except NotADirectoryError:
            return True  # an archive
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")) or name == "EGG-INFO":
                try:
                    with open(f"{directory}/{name}/entry_points.txt", "rb") as file:
                        if _names_plugins(file.read()):
                            return True
                except OSError:
                    continue
    return False


def _names_plugins(entry_points: bytes) -> bool:
    # gevent has one itself, for those who patch signal but not os.
    is_gevents = False
    for line in entry_points.splitlines() if b"gevent.plugins" in entry_points else ():
        if line.startswith(b"["):
            is_gevents = line.startswith(b"[gevent.plugins")
            continue
        target = line.partition(b"=")[2].strip()
        if is_gevents and target and not target.startswith(b"gevent."):
            return True
    return False
