"""The rules of static-expires."""

from __future__ import annotations

import re

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.server.static.expires import (
    ExpiresRule,
    ExpiresRules,
    Subject,
    pattern_rule,
    type_rule,
)

CSS = Subject(
    filename="/srv/a.css",
    uri="/static/a.css?v=1",
    path_info="/static/a.css",
    media_type="text/css",
    mtime=500,
)
NOW = 1000.0


def pattern(value: str, attribute: str, since_mtime: bool = False) -> ExpiresRule:
    return pattern_rule(
        value,
        "static-expires",
        attribute=attribute,
        since_mtime=since_mtime,
        compile_pattern=lambda text: re.compile(text).search,
    )


@pytest.mark.parametrize(
    ("rule", "moment"),
    [
        (type_rule("text/css=60", "static-expires-type", since_mtime=False), 1060),
        (type_rule("text/css=60", "static-expires-type", since_mtime=True), 560),
        (type_rule("text/*=60", "static-expires-type", since_mtime=False), 1060),
        (type_rule("image/*=60", "static-expires-type", since_mtime=False), None),
        (pattern(r"\.css$ 7", "filename"), 1007),
        (pattern(r"v=\d 7", "uri"), 1007),
        (pattern(r"a css 7", "uri"), None),
        (pattern(r"^/static/ 7", "path_info", True), 507),
        (pattern(r"^/media/ 7", "path_info"), None),
    ],
)
def test_a_rule_gives_a_moment(rule: ExpiresRule, moment: int | None) -> None:
    assert ExpiresRules([rule]).expires_at(CSS, NOW) == moment


def test_the_first_rule_that_matches_decides() -> None:
    rules = ExpiresRules([pattern("nothing 1", "uri"), pattern(". 2", "uri")])
    assert rules.expires_at(CSS, NOW) == 1002
    assert rules
    assert not ExpiresRules([])


def test_a_file_without_type_matches_no_type_rule() -> None:
    bare = Subject(filename="", uri="", path_info="", media_type=None, mtime=0)
    rule = type_rule("text/css=60", "static-expires-type", since_mtime=False)
    assert ExpiresRules([rule]).expires_at(bare, NOW) is None


@pytest.mark.parametrize("value", ["text/css", "text/css=", "text/css=soon"])
def test_a_malformed_type_rule_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="static-expires-type"):
        type_rule(value, "static-expires-type", since_mtime=False)


@pytest.mark.parametrize("value", ["", "60", "x y"])
def test_a_malformed_pattern_rule_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="static-expires"):
        pattern(value, "uri")
