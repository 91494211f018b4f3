"""Dates and prefixes of the server's lines; expectations seen in uWSGI."""

from __future__ import annotations

import re

import pytest

from geuwsgi.log.stamp import line_stamp
from geuwsgi.options.logging import Logging

CTIME = r"\w{3} \w{3} [ \d]\d [\d:]{8} \d{4} - "


@pytest.mark.parametrize(
    ("options", "stamp"),
    [
        ({"log_date": ""}, CTIME),
        ({"log_date": "true"}, CTIME),
        ({"log_date": "1"}, CTIME),
        ({"log_date": "%Y"}, r"\d{4} - "),
        ({"log_prefix": "pre"}, "pre - "),
        ({"log_prefix": ""}, CTIME),
        ({"log_prefix": "pre", "log_date": ""}, "pre - "),
    ],
)
def test_what_stands_before_a_line(options: dict[str, str], stamp: str) -> None:
    made = line_stamp(Logging(**options))  # type: ignore[arg-type]
    assert made is not None
    assert re.fullmatch(stamp, made())


def test_lines_have_no_beginning_unless_asked_for() -> None:
    assert line_stamp(Logging()) is None


def test_the_date_is_that_of_the_moment() -> None:
    times = iter([1795637319.0, 1795637320.0])
    made = line_stamp(Logging(log_date="%S"), lambda: next(times))
    assert made is not None
    assert made() != made()
