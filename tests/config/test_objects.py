from __future__ import annotations

import importlib.util

import pytest

from geuwsgi.config.objects import parse_json, parse_toml

_HAS_TOML = any(importlib.util.find_spec(name) for name in ("tomllib", "tomli"))


def test_json_values_are_written_as_uwsgi_writes_them() -> None:
    text = '{"uwsgi": {"a": "x", "b": 4, "c": true, "d": false, "e": null, "f": 1.5}}'
    assert [(line.name, line.value) for line in parse_json(text, "uwsgi").lines] == [
        ("a", "x"),
        ("b", "4"),
        ("c", "1"),
        ("d", "0"),
        ("e", "0"),
        ("f", "1.5"),
    ]


def test_a_list_and_a_repeated_member_repeat_their_option() -> None:
    text = '{"uwsgi": {"env": ["A=1", "B=2"], "env": "C=3"}}'
    assert [line.value for line in parse_json(text, "uwsgi").lines] == [
        "A=1",
        "B=2",
        "C=3",
    ]


def test_json_options_know_their_lines() -> None:
    text = '{\n "uwsgi": {\n  "a": 1,\n  "b": 2,\n\n  "a": 3\n }\n}'
    assert [line.number for line in parse_json(text, "uwsgi").lines] == [3, 4, 6]


def test_other_members_are_other_sections() -> None:
    parsed = parse_json('{"web": {"a": 1}}', "uwsgi")
    assert not parsed.has_section
    assert parsed.sections == ["web"]


def test_a_nested_object_is_an_error() -> None:
    parsed = parse_json('{"uwsgi": {"a": {"b": 1}, "c": [[1]]}}', "uwsgi")
    assert [sentence for _, sentence in parsed.errors] == [
        "a: a value is a text, a number or a list of them",
        "c: a value is a text, a number or a list of them",
    ]


@pytest.mark.parametrize(
    ("text", "line"), [('{\n"uwsgi":', 2), ("[1]", 1), ("[" * 99999, 1), ("", 1)]
)
def test_what_is_no_json_object_is_an_error_with_its_line(text: str, line: int) -> None:
    [(number, _)] = parse_json(text, "uwsgi").errors
    assert number == line


@pytest.mark.skipif(not _HAS_TOML, reason="no TOML reader before Python 3.11")
def test_toml_tables_are_sections() -> None:
    text = '[uwsgi]\nmaster = true\nenv = ["A=1", "B=2"]\nprocesses = 4\n[web]\na = 1\n'
    parsed = parse_toml(text, "uwsgi")
    assert [(line.name, line.value, line.number) for line in parsed.lines] == [
        ("master", "1", 2),
        ("env", "A=1", 3),
        ("env", "B=2", 3),
        ("processes", "4", 4),
    ]


@pytest.mark.skipif(not _HAS_TOML, reason="no TOML reader before Python 3.11")
def test_broken_toml_is_an_error_with_its_line() -> None:
    [(line, sentence)] = parse_toml("[uwsgi]\na = \n", "uwsgi").errors
    assert line == 2
    assert sentence.startswith("malformed TOML")


@pytest.mark.skipif(_HAS_TOML, reason="there is a TOML reader")
def test_without_a_toml_reader_the_error_names_one() -> None:
    assert parse_toml("[uwsgi]", "uwsgi").errors == [
        (1, "Python 3.10 cannot read TOML; install tomli")
    ]


def test_a_section_must_be_an_object() -> None:
    assert parse_json('{"uwsgi": 1}', "uwsgi").errors == [(1, "uwsgi is not an object")]


@pytest.mark.skipif(not _HAS_TOML, reason="no TOML reader before Python 3.11")
def test_toml_that_is_no_table_or_nested_too_deeply_is_an_error() -> None:
    assert parse_toml("uwsgi = 1", "uwsgi").errors == [(1, "uwsgi is not an object")]
    [(_, sentence)] = parse_toml("a = " + "[" * 5000, "uwsgi").errors
    assert sentence.startswith("malformed TOML")
