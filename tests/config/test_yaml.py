from __future__ import annotations

import sys

import pytest

from geuwsgi.config.parsed import Parsed
from geuwsgi.config.yaml import parse_yaml


def _pairs(text: str, section: str = "uwsgi") -> list[tuple[str, str | None]]:
    parsed = parse_yaml(text, section)
    assert parsed.errors == []
    return [(line.name, line.value) for line in parsed.lines]


def test_options_stand_below_their_section() -> None:
    text = "other:\n  a: 1\nuwsgi:\n  b: 2\n  c : 3\nlast:\n  d: 4\n"
    assert _pairs(text) == [("b", "2"), ("c", "3")]
    assert _pairs(text, "last") == [("d", "4")]


def test_values_stay_as_they_are_written() -> None:
    text = "uwsgi:\n  chmod-socket: 0664\n  master: true\n  http: :8000\n  x: a: b\n"
    assert _pairs(text) == [
        ("chmod-socket", "0664"),
        ("master", "true"),
        ("http", ":8000"),
        ("x", "a: b"),
    ]


def test_an_option_may_be_repeated() -> None:
    assert _pairs("uwsgi:\n  env: A=1\n  env: B=2\n") == [
        ("env", "A=1"),
        ("env", "B=2"),
    ]


@pytest.mark.parametrize("indent", ["  ", "    "])
def test_a_sequence_repeats_its_option(indent: str) -> None:
    text = f"uwsgi:\n  env:\n{indent}- A=1\n{indent}- B=2\n  master: 1\n"
    assert _pairs(text) == [("env", "A=1"), ("env", "B=2"), ("master", "1")]


def test_a_flow_sequence_repeats_its_option() -> None:
    assert _pairs("uwsgi:\n  env: [A=1, B=2]\n") == [("env", "A=1"), ("env", "B=2")]


def test_quotes_are_taken_off() -> None:
    text = "uwsgi:\n  a: 'it''s'\n  b: \"x\\ty\"  # z\n"
    assert _pairs(text) == [("a", "it's"), ("b", "x\ty")]


def test_comments_and_empty_lines_are_left_out() -> None:
    text = "# head\n---\nuwsgi:\n\n  a: b # c\n  # d\n  e: f#g\n  h: # i\n"
    assert _pairs(text) == [("a", "b"), ("e", "f#g"), ("h", "")]


def test_an_option_without_a_value_is_empty() -> None:
    assert _pairs("uwsgi:\n  master:\n  a: 1\n") == [("master", ""), ("a", "1")]


def test_a_missing_section_is_seen() -> None:
    parsed = parse_yaml("web:\n  a: 1\n", "uwsgi")
    assert not parsed.has_section
    assert parsed.sections == ["web"]


def test_what_the_small_reader_cannot_read_pyyaml_does() -> None:
    pytest.importorskip("yaml")
    text = (
        "uwsgi:\n  a: >\n    one\n    two\n  chmod: 0664\n  l:\n    - {x: 1}\n    - 2\n"
    )
    parsed = parse_yaml(text, "uwsgi")
    assert [(line.name, line.value) for line in parsed.lines] == [
        ("a", "one two\n"),
        ("chmod", "0664"),
        ("l", "2"),
    ]
    assert parsed.errors == [(6, "l: a list may hold only texts and numbers")]


def test_broken_yaml_is_an_error_with_its_line() -> None:
    pytest.importorskip("yaml")
    parsed: Parsed = parse_yaml("uwsgi:\n  a: 1\n  b: 'open\n", "uwsgi")
    [(line, sentence)] = parsed.errors
    assert line >= 3
    assert sentence.startswith("malformed YAML")


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("uwsgi: {a: 1}\n", [("a", "1")]),
        ("uwsgi:\n  a: [x, 'y']\n", [("a", "x"), ("a", "y")]),
        ('uwsgi:\n  a: "x\\u00e9\\x41\\/"\n', [("a", "xéA/")]),
        ("uwsgi:\n  a: &n 5\n  b: *n\n", [("a", "5"), ("b", "5")]),
        ("uwsgi:\n    a: 1\n    b:\n      - 2\n", [("a", "1"), ("b", "2")]),
        ("uwsgi:\n  a: one\n    two\n", [("a", "one two")]),
    ],
)
def test_more_of_yaml(text: str, pairs: list[tuple[str, str]]) -> None:
    pytest.importorskip("yaml")
    assert _pairs(text) == pairs


@pytest.mark.parametrize(
    "text",
    [
        "uwsgi:\n  a: 1\n---\nuwsgi:\n  b: 2\n",
        "uwsgi:\n  a: 'x\n",
        'uwsgi:\n  a: "x\n',
        "uwsgi:\n\ta: 1\n",
        "uwsgi:\n  a: {x: 1}\n",
        "uwsgi:\n  {x: 1}: 2\n",
        "uwsgi:\n  - 1\n  - a: 2\n  x: 1\n",
    ],
)
def test_what_no_reader_can_use_is_an_error(text: str) -> None:
    pytest.importorskip("yaml")
    assert parse_yaml(text, "uwsgi").errors


def test_a_section_that_holds_no_options_is_empty() -> None:
    pytest.importorskip("yaml")
    parsed = parse_yaml("uwsgi:\n  - 1\n", "uwsgi")
    assert parsed.lines == []
    assert parse_yaml("- uwsgi: &a 1\n", "uwsgi").has_section is False


def test_without_pyyaml_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geuwsgi.config.pyyaml", None)
    assert parse_yaml("uwsgi:\n  a: {x: 1}\n", "uwsgi").errors == [
        (2, "'{x: 1}' is beyond the built-in YAML reader; install PyYAML")
    ]
