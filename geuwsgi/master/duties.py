"""Which duties a generation's settings ask for."""

from __future__ import annotations

from collections.abc import Callable

from geuwsgi.master.duty import Duty
from geuwsgi.master.prepared import Prepared
from geuwsgi.master.touch import touch_duty


def make_duties(prepared: Prepared, log: Callable[[str], None]) -> list[Duty]:
    """The duties of the generation, in the order they begin."""
    settings = prepared.settings
    made: list[Duty | None] = [touch_duty(settings)]
    return [duty for duty in made if duty is not None]
