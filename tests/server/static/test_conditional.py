"""Preconditions and their precedence."""

from __future__ import annotations

import pytest

from geuwsgi.server.static.conditional import Verdict, judge, range_still_holds

ETAG = '"abc-10"'
MTIME = 784111777
LAST_MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"

SEND = Verdict.SEND
NOT_MODIFIED = Verdict.NOT_MODIFIED
FAILED = Verdict.PRECONDITION_FAILED


def verdict_of(**fields: str) -> Verdict:
    environ = {f"HTTP_{name.upper()}": value for name, value in fields.items()}
    return judge(environ, etag=ETAG, mtime=MTIME, last_modified=LAST_MODIFIED)


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, SEND),
        ({"if_none_match": ETAG}, NOT_MODIFIED),
        ({"if_none_match": f"W/{ETAG}"}, NOT_MODIFIED),
        ({"if_none_match": f'"x", {ETAG}'}, NOT_MODIFIED),
        ({"if_none_match": '"x,y",W/"abc-10"'}, NOT_MODIFIED),
        ({"if_none_match": "*"}, NOT_MODIFIED),
        ({"if_none_match": '"x"'}, SEND),
        ({"if_none_match": "abc-10"}, SEND),
        ({"if_modified_since": LAST_MODIFIED}, NOT_MODIFIED),
        ({"if_modified_since": AFTER}, NOT_MODIFIED),
        ({"if_modified_since": BEFORE}, SEND),
        ({"if_modified_since": "rubbish"}, SEND),
        ({"if_match": ETAG}, SEND),
        ({"if_match": "*"}, SEND),
        ({"if_match": f"W/{ETAG}"}, FAILED),
        ({"if_match": '"x"'}, FAILED),
        ({"if_match": ""}, FAILED),
        ({"if_unmodified_since": LAST_MODIFIED}, SEND),
        ({"if_unmodified_since": AFTER}, SEND),
        ({"if_unmodified_since": BEFORE}, FAILED),
        ({"if_unmodified_since": "rubbish"}, SEND),
    ],
)
def test_one_precondition_decides(fields: dict[str, str], verdict: Verdict) -> None:
    assert verdict_of(**fields) is verdict


def test_an_entity_tag_overrules_a_date() -> None:
    assert verdict_of(if_none_match='"x"', if_modified_since=AFTER) is SEND
    assert verdict_of(if_match=ETAG, if_unmodified_since=BEFORE) is SEND


def test_if_match_comes_before_if_none_match() -> None:
    assert verdict_of(if_match='"x"', if_none_match=ETAG) is FAILED
    assert verdict_of(if_match=ETAG, if_none_match=ETAG) is NOT_MODIFIED


@pytest.mark.parametrize(
    ("if_range", "holds"),
    [
        (ETAG, True),
        (f"W/{ETAG}", False),
        ('"x"', False),
        (LAST_MODIFIED, True),
        (AFTER, False),
        (BEFORE, False),
        ("rubbish", False),
    ],
)
def test_a_range_holds_only_for_the_very_same_representation(
    if_range: str, holds: bool
) -> None:
    assert range_still_holds(if_range, etag=ETAG, last_modified=LAST_MODIFIED) is holds
