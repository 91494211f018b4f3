"""Dates as HTTP writes them (RFC 9110 §5.6.7). Pure: the time is an argument."""

from __future__ import annotations

import re
import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}

_TIME = r"(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"
_MONTH = r"(?P<m>[A-Z][a-z][a-z])"
# The preferred form and the two obsolete ones recipients must accept. They are compiled
# when the first date is read: most processes only write them.
_FORMS = (
    rf"[A-Z][a-z]{{2}}, (?P<d>\d\d) {_MONTH} (?P<Y>\d{{4}}) {_TIME} GMT",
    rf"[A-Z][a-z]{{5,8}}, (?P<d>\d\d)-{_MONTH}-(?P<y>\d\d) {_TIME} GMT",
    rf"[A-Z][a-z]{{2}} {_MONTH} (?P<d>[ \d]\d) {_TIME} (?P<Y>\d{{4}})",
)


def format_http_date(timestamp: float) -> str:
    """Format seconds since the epoch as ``Sun, 06 Nov 1994 08:49:37 GMT``."""
    at = time.gmtime(timestamp)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02d} {_MONTHS[at.tm_mon - 1]} "
        f"{at.tm_year:04d} {at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} GMT"
    )


def parse_http_date(text: str) -> int | None:
    """Return the seconds since the epoch, or None if ``text`` is no HTTP date.

    Two-digit years are read in the window 1970-2069, the one every ``strptime`` uses
    but for its first year; the obsolete form that has them dates from then.
    """
    for form in _FORMS:
        match = re.fullmatch(form, text, re.ASCII)
        if match is not None:
            break
    else:
        return None
    part = match.groupdict()
    month = _MONTH_NUMBERS.get(part["m"])
    year = int(part["Y"]) if part.get("Y") else 1970 + (int(part["y"]) - 70) % 100
    day, hour, minute, second = (int(part[name]) for name in "dHMS")
    if month is None or not 1 <= day <= 31 or hour > 23 or minute > 59 or second > 60:
        return None
    from calendar import timegm  # with it come datetime and locale

    return timegm((year, month, day, hour, minute, second))
