"""uWSGI's crons: five numbers, and when they mean now."""

from __future__ import annotations

import time
from dataclasses import dataclass

#: A clock that is put right by less repeats some minutes; one that goes back by more
#: has been wrong altogether.
_REPEATED_MINUTES = 5


def is_new_minute(minute: int, last: int) -> bool:
    """Tell whether crons are to be looked at, after they were for ``last``."""
    return minute > last or minute < last - _REPEATED_MINUTES


@dataclass(frozen=True)
class CronTimes:
    """Minute, hour, day, month and weekday (0 or 7 is Sunday).

    -1 is always, -N every N: a number that N divides. Day and weekday both given mean
    either, as with cron(8).
    """

    minute: int
    hour: int
    day: int
    month: int
    weekday: int

    def matches(self, moment: time.struct_time) -> bool:
        """Tell whether ``moment`` lies in a minute that is meant."""
        if not (
            _meets(self.minute, moment.tm_min)
            and _meets(self.hour, moment.tm_hour)
            and _meets(self.month, moment.tm_mon)
        ):
            return False
        weekday = (moment.tm_wday + 1) % 7  # Python's weeks begin with Monday
        on_day = _meets(self.day, moment.tm_mday)
        on_weekday = _meets(
            self.weekday % 7 if self.weekday > 0 else self.weekday, weekday
        )
        if self.day >= 0 and self.weekday >= 0:
            return on_day or on_weekday
        return on_day and on_weekday


def _meets(wanted: int, value: int) -> bool:
    return value % -wanted == 0 if wanted < 0 else value == wanted
