"""The first code of a fresh interpreter: patch, then everything else.

Nothing is imported here before gevent has patched the standard library, so that no
module of geuwsgi or of the application holds an unpatched lock or socket.
"""

from __future__ import annotations

from typing import NoReturn


def main(boot_fd: int) -> NoReturn:
    """Be a template, or a lone worker, as the boot record behind ``boot_fd`` says."""
    from gevent import monkey

    monkey.patch_all()

    from geuwsgi.worker.template import run

    run(boot_fd)
