from __future__ import annotations

import pytest

from geuwsgi.testing.clock import FakeClock


def test_the_clock_stands_until_it_is_advanced() -> None:
    clock = FakeClock(100.0)
    assert clock() == clock() == 100.0
    assert clock.advance(2.5) == 102.5
    assert clock() == 102.5


def test_the_clock_refuses_to_go_back() -> None:
    with pytest.raises(ValueError, match="cannot go back: -1"):
        FakeClock().advance(-1)
