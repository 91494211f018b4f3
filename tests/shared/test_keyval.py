from __future__ import annotations

import pytest

from geuwsgi.shared.keyval import parse_keyval, split_escaped


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a=1", [("a", "1")]),
        ("a=1,b=2", [("a", "1"), ("b", "2")]),
        (" a = 1 , b", [("a", "1"), ("b", None)]),
        ("a=,b==x", [("a", ""), ("b", "=x")]),
        (r"a=1\,2,b=3", [("a", "1,2"), ("b", "3")]),
        (r"a=\d\\,b", [("a", r"\d\\"), ("b", None)]),
        ("a=1,,a=2", [("a", "1"), ("a", "2")]),
    ],
)
def test_pairs(text: str, expected: list[tuple[str, str | None]]) -> None:
    assert list(parse_keyval(text)) == expected


def test_a_backslash_at_the_end_stays() -> None:
    assert split_escaped("a;b\\", ";") == ["a", "b\\"]
