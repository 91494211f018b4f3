"""Any text gives settings, or errors that name their place. Never a traceback."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geuwsgi.config import Configuration, Loading
from geuwsgi.config.check import check, format_report
from geuwsgi.config.combinations import find_combinations
from geuwsgi.config.parsers import parse_document
from geuwsgi.config.placeholders import Endless, evaluate, substitute
from geuwsgi.options import REGISTRY
from tests.config.world import World, read_in

FORMATS = ("ini", "yaml", "json", "xml", "toml")
NAMES = st.sampled_from(sorted(REGISTRY.names())) | st.sampled_from(
    ["base", "x", "end", "%(base)", "for", "if-env", "if-opt", "set", "inherit", "ini"]
)
VALUES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "1",
            "-1",
            "true",
            "off",
            "64k",
            "0660",
            "%(base)",
            "%(x)",
            "%(base_+_1)",
            "$(HOME)",
            "@(f)",
            "a=b",
            "a.ini",
            ":b",
            "f",
            "x=%(x)",
            "%d",
            "%(",
            "%(a",
            "$(",
            "99999999999999999999",
            "1e9",
            "base=%(base)%(base)",
        ]
    ),
)
LINES = st.lists(st.tuples(NAMES, VALUES), max_size=12)


def _ini(lines: list[tuple[str, str]]) -> str:
    body = "\n".join(f"{name} = {value}" for name, value in lines)
    return f"[uwsgi]\n{body}\n[b]\nmode = b\n"


def _world(text: str, name: str = "a.ini") -> World:
    files = {name: text, "f": "one\ntwo\n", "p.ini": "[uwsgi]\nbase = %(x)\n"}
    return World(files, environ={"HOME": "/root"})


def _assert_sound(loading: Loading) -> None:
    for error in loading.errors:
        assert error.origin, error
        assert error.message
    configuration = loading.configuration
    again = Configuration.from_json(configuration.to_json())
    assert again.settings == configuration.settings
    assert again.assignments == configuration.assignments
    assert configuration.opt.keys() == {a.name for a in configuration.assignments}
    find_combinations(configuration, 4096)
    json.loads(configuration.to_json())


@settings(max_examples=300, deadline=None)
@given(LINES)
@example([("set", "base=%(base)%(base)"), ("mode", "%(base)")])
@example([("for", "a b"), ("ini", ":b"), ("include", "a.ini")])
@example([("declare-option", "x=x=$1;x=$1"), ("x", "1")])
def test_any_lines_give_settings_or_errors_with_places(
    lines: list[tuple[str, str]],
) -> None:
    _assert_sound(read_in(_world(_ini(lines)), "--ini", "a.ini"))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_text_as_an_ini_file(text: str) -> None:
    _assert_sound(read_in(_world(text), "--ini", "a.ini"))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FORMATS), st.text(max_size=120))
@example("yaml", "uwsgi:\n  a: &x b\n  c: *x\n")
@example("yaml", "uwsgi: [")
@example("json", "[" * 5000)
@example("xml", "<uwsgi>&#0;</uwsgi>")
@example("toml", "uwsgi = 1")
def test_any_text_in_any_format(format: str, text: str) -> None:
    parsed = parse_document(text, format, "uwsgi")
    for number, sentence in (*parsed.errors, *parsed.remarks):
        assert number >= 1
        assert sentence
    for line in parsed.lines:
        assert isinstance(line.value, str)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=12),
            NAMES.map(lambda name: f"--{name}"),
            st.tuples(NAMES, VALUES).map(lambda pair: f"--{pair[0]}={pair[1]}"),
            st.sampled_from(["-p", "-M", "-p4", "-Q", "--", "-", "a.ini", ":b"]),
        ),
        max_size=6,
    )
)
def test_any_command_line(argv: list[str]) -> None:
    world = _world(_ini([]))
    _assert_sound(read_in(world, *argv))
    report = check(argv, world.environ, host=world)
    assert report.status(strict=False) in (0, 2)
    assert format_report(report).endswith("errors\n")


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4))
def test_any_environment(variables: dict[str, str]) -> None:
    environ = {f"UWSGI_{name}": value for name, value in variables.items()}
    _assert_sound(read_in(World(environ=environ)))


@given(st.text(alphabet="%()ab +-*/123$", max_size=40))
def test_any_expression_ends(text: str) -> None:
    known = {"a": "%(b)", "b": "2", "ab": "%(ab)x"}
    try:
        substitute(text, "%", lambda key: evaluate(key, known.get))
    except Endless:
        assert "%(ab" in text or "%" in text


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_arithmetic_is_that_of_64_bits(a: int, b: int) -> None:
    values = {"a": str(a), "b": str(b)}
    total = evaluate("a + b", values.get)
    assert total is not None
    assert -(2**63) <= int(total) < 2**63
    assert (int(total) - (a + b)) % 2**64 == 0
    if b:
        quotient = evaluate("a / b", values.get)
        assert quotient is not None
        assert abs(int(quotient)) == abs(a) // abs(b) or (a, b) == (-(2**63), -1)


def test_the_worlds_of_this_module_are_read_at_all() -> None:
    loading = read_in(_world(_ini([("processes", "4")])), "--ini", "a.ini")
    assert loading.configuration.settings.workers.processes == 4
    with pytest.raises(Endless):
        substitute("%(ab)", "%", {"ab": "%(ab)x"}.get)
