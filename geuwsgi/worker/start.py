"""The first code of a fresh interpreter: patch, then everything else.

Nothing is imported here before gevent has patched the standard library, so that no
module of geuwsgi or of the application holds an unpatched lock or socket.
"""

from __future__ import annotations

import gc
from typing import NoReturn


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
    They are read once.
    """
    from importlib import metadata

    from gevent import monkey

    read, found = metadata.entry_points, metadata.entry_points()
    metadata.entry_points = found.select
    try:
        monkey.patch_all()
    finally:
        metadata.entry_points = read
