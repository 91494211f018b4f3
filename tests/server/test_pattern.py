"""Regular expressions written for PCRE."""

from __future__ import annotations

import pytest

from geuwsgi.errors import ConfigError, RemoteProtocolError
from geuwsgi.server.pattern import compile_pattern


@pytest.mark.parametrize(
    ("pattern", "subject", "found"),
    [
        ("^/a", "/abc", "/a"),
        (r"(?<year>\d+)", "in 1999", "1999"),
        (r"[[:digit:]]+", "ab12", "12"),
        (r"[a[:digit:]]+", "ba12", "a12"),
        (r"[^[:alpha:]]", "ab1", "1"),
        (r"\\z", "a\\z", "\\z"),
        (r"b\z", "ab", "b"),
        (r"b\Z", "ab\n", "b"),
        (r"a\h+b", "a \tb", "a \tb"),
        (r"(?<=a)b", "ab", "b"),
        (r"(?i)ABC", "xabc", "abc"),
        (r"\w+", "\xe9a", "a"),
    ],
)
def test_pcre_spellings_are_understood(pattern: str, subject: str, found: str) -> None:
    match = compile_pattern(pattern).search(subject)
    assert match is not None
    assert match[0] == found


@pytest.mark.parametrize("pattern", ["(", "[", "*a", "a{2,1}", r"(?P<n>a)(?P<n>b)"])
def test_a_malformed_pattern_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ConfigError, match="malformed regular expression"):
        compile_pattern(pattern)


def test_a_text_too_long_for_the_pattern_is_refused_not_passed() -> None:
    pattern = compile_pattern("^/admin.*x.*y.*z")
    assert 100 < pattern.limit < 1000
    assert pattern.search("/admin x y z")
    with pytest.raises(RemoteProtocolError):
        pattern.search("/admin" + "x" * 1000)
    assert compile_pattern("^/admin").limit == 0


def test_a_pattern_that_never_ends_is_refused() -> None:
    with pytest.raises(ConfigError, match="in so many ways"):
        compile_pattern(r"^/(\w+\s?)*$")
