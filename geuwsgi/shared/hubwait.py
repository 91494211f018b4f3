"""Waiting for a short lock inside a gevent worker.

Only processes that run a hub import this module.
"""

from __future__ import annotations

import gevent
from gevent.hub import get_hub
from greenlet import getcurrent

from geuwsgi.shared.mutex import yield_processor

_SPINS_BEFORE_SLEEP = 64


def wait_in_hub(attempt: int) -> None:
    """Wait for the holder of a shared lock without stopping the hub.

    The first attempts only give up the processor, which takes microseconds: a holder
    needs two or three. Later ones let other greenlets run for a millisecond.
    """
    if attempt < _SPINS_BEFORE_SLEEP or getcurrent() is get_hub():
        yield_processor(attempt)
    else:
        gevent.sleep(0.001)


def let_others_run() -> None:
    """Give other greenlets a turn, in the middle of work that takes long."""
    if getcurrent() is not get_hub():
        gevent.sleep(0)
