"""How long patterns may take, compared with how long they do take."""

from __future__ import annotations

import re
import sys
import time

import pytest

from geuwsgi.server.ambiguity import EXPONENTIAL, degree_of

LINEAR = [
    "",
    "foo",
    "^/a",
    r"\.css$",
    "curl|wget|bot",
    "^/s/(.*)$",
    "^a.*b",
    r"^(a|b)*$",
    r"^/(?!api)[^\.]*$",
    r"^/([a-z]+)/([0-9]+)/?$",
    r"^(?:/[^/]+)+$",
    r"^\d{1,3}(\.\d{1,3}){3}$",
    r"^[^?]*\?(.*)$",
    r"(?i)^MOZILLA",
    r"\bfoo\b",
    # Ambiguous, but nothing can fail after it.
    r"^(\w+\s?)*",
    r".*",
]
POLYNOMIAL = [
    (r"(.*)foo", 2),
    (r"a+$", 2),
    (r"a.*b", 2),
    (r"^.*x.*y", 2),
    (r"^(.+)/(.+)$", 2),
    (r"x.*y.*z", 3),
    (r"^.*a.*b.*c.*d", 4),
    (r"^a{0,100}a{0,100}b", 2),
    (r"^(?i:[A-Z]*)[a-z]*!", 2),
]
ENDLESS = [
    r"^(a+)+$",
    r"^(a*)*b",
    r"^(a|a)*$",
    r"^(a|ab|b)*c",
    r"^(\w+\s?)*$",
    r"^((ab)*)*c",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(x+x+)+y",
    r"^(?:a?){50}a{50}$",
]


@pytest.mark.parametrize("pattern", LINEAR)
def test_linear_patterns(pattern: str) -> None:
    assert degree_of(re.compile(pattern, re.ASCII)) == 1


@pytest.mark.parametrize(("pattern", "degree"), POLYNOMIAL)
def test_polynomial_patterns(pattern: str, degree: int) -> None:
    assert degree_of(re.compile(pattern, re.ASCII)) == degree


@pytest.mark.parametrize("pattern", ENDLESS)
def test_exponential_patterns(pattern: str) -> None:
    assert degree_of(re.compile(pattern, re.ASCII)) == EXPONENTIAL


@pytest.mark.skipif(sys.version_info < (3, 11), reason="syntax of Python 3.11")
@pytest.mark.parametrize("pattern", [r"^(?>a+)+$", r"^a++b", r"^(?:a*+)b"])
def test_what_is_never_gone_back_into_is_linear(pattern: str) -> None:
    assert degree_of(re.compile(pattern)) == 1


def test_what_cannot_be_decided_counts_as_slow() -> None:
    assert degree_of(re.compile("^(?:" + "|".join(["ab*"] * 300) + ")*c")) != 1
    assert degree_of(re.compile(r"^(?=(a+)+$)")) != 1


def test_patterns_called_linear_are_fast_on_what_would_hurt_them() -> None:
    for pattern in LINEAR:
        compiled = re.compile(pattern, re.ASCII)
        for text in ("a" * 20000, "/" * 20000, "ab" * 10000, "a " * 10000 + "!"):
            began = time.perf_counter()
            compiled.search(text)
            assert time.perf_counter() - began < 0.5, (pattern, text[:10])
