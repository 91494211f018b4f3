"""Greenlets in tests: the loop's clock."""

from __future__ import annotations

import pytest
from gevent import get_hub


@pytest.fixture(autouse=True)
def _the_clock_is_right() -> None:
    # A loop knows the time when it last ran, and begins timers there: one of twenty
    # seconds ends at once if the tests before took so long without the loop.
    get_hub().loop.update_now()
