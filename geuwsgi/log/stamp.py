"""What stands before the lines of the server itself (uWSGI: log-date, log-prefix).

Request lines and what applications print have nothing before them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geuwsgi.options.logging import Logging

# An option that stood alone, or was only switched on, has the default format.
_BARE = frozenset({"", "1", "true", "yes", "on"})


def line_stamp(
    logging: Logging, clock: Callable[[], float] = time.time
) -> Callable[[], str] | None:
    """Return what gives the beginning of a line; None if lines have none."""
    prefix = logging.log_prefix
    if prefix is not None and prefix.lower() not in _BARE:
        return lambda: f"{prefix} - "
    date = logging.log_date
    if date is None and prefix is None:
        return None
    from geuwsgi.log.lineformat import CTIME, Dates  # not for lines without a date

    wanted = CTIME if date is None or date.lower() in _BARE else date
    dates = Dates(wanted)
    return lambda: f"{dates.format(clock())} - "
