"""Waiting for what must come true, on a machine however busy."""

from __future__ import annotations

from collections.abc import Callable

import gevent


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Let other greenlets run until the condition holds; fail if it never does."""
    with gevent.Timeout(seconds, AssertionError(f"never: {condition}")):
        while not condition():
            gevent.sleep(0.001)
