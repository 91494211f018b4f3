"""Files that only one instance may have open, and its predecessor may have still.

Processes whose master was killed finish what they do before they end, seconds after
the next instance may have begun to start.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable

from geuwsgi.options import Settings

#: Somewhat more than such processes take.
PATIENCE_S = 6.0
_POLL_S = 0.05


def wait_for_stores(settings: Settings, log: Callable[[str], None]) -> None:
    """Return when nobody has the stores of caches and queue open, or time is up.

    For the first generation only: it blocks. What is in use nonetheless is told by
    those that open it.
    """
    give_up_at = time.monotonic() + PATIENCE_S
    for path in _stores_of(settings):
        is_told = False
        while _is_in_use(path) and time.monotonic() < give_up_at:
            if not is_told:
                log(f"another instance has {path} open; it may be ending: waiting")
                is_told = True
            time.sleep(_POLL_S)


def _stores_of(settings: Settings) -> list[str]:
    paths = [settings.shared.queue_store] if settings.shared.queue_store else []
    if settings.cache.changed():
        from geuwsgi.cache.spec import cache_specs

        paths += [spec.store for spec in cache_specs(settings.cache) if spec.store]
    return paths


def _is_in_use(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False
