"""Range fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.server.static.ranges import (
    MAX_RANGES,
    content_range,
    parse_range,
    unsatisfied_range,
)


@pytest.mark.parametrize(
    ("field", "spans"),
    [
        ("bytes=0-0", ((0, 1),)),
        ("bytes=2-5", ((2, 6),)),
        ("bytes=2-", ((2, 10),)),
        ("bytes=-3", ((7, 10),)),
        ("bytes=-30", ((0, 10),)),
        ("bytes=5-100", ((5, 10),)),
        ("BYTES= 1-2", ((1, 3),)),
        ("bytes=8-18446744073709551615", ((8, 10),)),
        ("bytes=0-1, 4-5", ((0, 2), (4, 6))),
        ("bytes=4-5,0-1", ((4, 6), (0, 2))),
        ("bytes= , 0-1,", ((0, 2),)),
    ],
)
def test_satisfiable_ranges_become_spans(
    field: str, spans: tuple[tuple[int, int], ...]
) -> None:
    assert parse_range(field, 10) == spans


@pytest.mark.parametrize(
    "field", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"]
)
def test_a_range_beyond_the_end_selects_nothing(field: str) -> None:
    assert parse_range(field, 10) == ()


def test_an_unsatisfiable_range_beside_a_good_one_is_left_out() -> None:
    assert parse_range("bytes=50-60,1-2", 10) == ((1, 3),)


@pytest.mark.parametrize(
    "field",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=1-2-3",
        "bytes=1",
        "bytes=+1-2",
        "bytes=1 -2",
        "bytes=\u0661-\u0662",
        "bytes =1-2",
        "bytes=" + "9" * 41 + "-",
        "lines=1-2",
        "bytes=0-1;2-3",
    ],
)
def test_a_malformed_or_foreign_range_is_ignored(field: str) -> None:
    assert parse_range(field, 10) in (None, ())
    if field != "bytes=":
        assert parse_range(field, 10) is None


def test_more_ranges_than_any_client_needs_are_ignored() -> None:
    field = "bytes=" + ",".join(f"{2 * i}-{2 * i}" for i in range(MAX_RANGES + 1))
    assert parse_range(field, 1000) is None


def test_overlapping_and_touching_ranges_are_joined_where_the_first_stood() -> None:
    assert parse_range("bytes=6-8,0-1,2-3,7-9", 10) == ((6, 10), (0, 4))


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=9),
    st.integers(0, 50),
)
def test_joined_spans_are_disjoint_and_hold_the_bytes_asked_for(
    pairs: list[tuple[int, int]], size: int
) -> None:
    ordered = [(min(pair), max(pair)) for pair in pairs]
    field = "bytes=" + ",".join(f"{first}-{last}" for first, last in ordered)
    spans = parse_range(field, size)
    assert spans is not None
    wanted = {
        place for first, last in ordered for place in range(first, min(last + 1, size))
    }
    sent = [place for start, stop in spans for place in range(start, stop)]
    assert len(sent) == len(set(sent))
    assert set(sent) == wanted


def test_content_range_names_first_last_and_size() -> None:
    assert content_range((2, 6), 10) == "bytes 2-5/10"
    assert unsatisfied_range(10) == "bytes */10"
