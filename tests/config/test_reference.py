from __future__ import annotations

import json
from pathlib import Path

import pytest

from geuwsgi.config.queries import answer, answer_from
from geuwsgi.config.reference import (
    describe,
    format_completion,
    format_help,
    format_manual,
    format_schema,
)
from geuwsgi.options import REGISTRY
from tests.config.world import World, read_in


def test_the_manual_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "options.md"
    assert page.read_text("utf-8") == format_manual(), (
        "run: python -m geuwsgi.config.reference > docs/options.md"
    )


def test_the_help_names_every_option_with_its_variable() -> None:
    text = format_help()
    words = set(text.replace(",", " ").replace("]", " ").split())
    for option in REGISTRY.options():
        assert f"--{option.name}" in words
    assert "UWSGI_PROCESSES" in words


def test_the_help_of_a_section_has_only_that() -> None:
    text = format_help(section="mules")
    assert "--mule-harakiri" in text
    assert "--http-socket" not in text
    with pytest.raises(KeyError):
        format_help(section="nix")


def test_an_option_is_described_with_all_its_facts() -> None:
    assert describe("workers") == (
        "-p, --processes N\n"
        "  run this many workers\n"
        "  value               a number; 1 if none is given\n"
        "  default             1\n"
        "  other names         workers\n"
        "  environment         UWSGI_PROCESSES\n"
        "  section             workers\n"
    )


def test_inert_and_foreign_options_are_described() -> None:
    assert describe("thunder-lock") == (
        "--thunder-lock\n  without effect: each connection wakes one worker\n"
    )
    assert describe("rack") == (
        "--rack\n  belongs to Ruby; refused unless 'ignore-foreign' is set\n"
    )
    assert describe("nix") is None


def test_every_option_can_be_described() -> None:
    for name in REGISTRY.names():
        text = describe(name)
        assert text is not None
        assert text.startswith(("-", "--"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_hold_the_names(shell: str) -> None:
    text = format_completion(shell)
    assert "processes" in text
    assert "geuwsgi" in text


def test_the_schema_knows_every_option_and_alias() -> None:
    schema = json.loads(format_schema())
    properties = schema["$defs"]["section"]["properties"]
    for option in REGISTRY.options():
        for name in option.names:
            assert properties[name]["description"] == option.help
    assert properties["wsgi-env-behaviour"]["enum"] == ["holy", "cheat"]


# -- questions on the command line -----------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "begin"),
    [
        (["--help"], "usage: geuwsgi"),
        (["-h"], "usage: geuwsgi"),
        (["--help=mules"], "usage: geuwsgi"),
        (["--help-option", "harakiri"], "-t, --harakiri SECONDS"),
        (["--help-option=-p"], "-p, --processes N"),
        (["--dump-options"], "abstract-socket\n"),
        (["--completion", "bash"], "_geuwsgi"),
        (["--json-schema"], "{"),
        (["--loop-list"], "gevent\n"),
        (["--plugins-list"], "cache\n"),
        (["--cheaper-list"], "spare\n"),
        (["--python-version"], "3."),
        (["a.ini", "--version"], "0"),
    ],
)
def test_questions_are_answered(argv: list[str], begin: str) -> None:
    answered = answer(argv)
    assert answered is not None
    assert answered.text.startswith(begin)
    assert answered.status == 0


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--help=nix"], "there is no section 'nix'\n"),
        (
            ["--help-option", "harakri"],
            "unknown option 'harakri'; did you mean 'harakiri'?\n",
        ),
        (["--completion", "tcsh"], "no completion for 'tcsh': bash, zsh or fish\n"),
    ],
)
def test_questions_that_have_no_answer_say_so(argv: list[str], text: str) -> None:
    assert answer(argv) == (text, 1)


@pytest.mark.parametrize("argv", [[], ["a.ini"], ["--master"], ["--nix"], ["-p"]])
def test_other_command_lines_are_no_questions(argv: list[str]) -> None:
    assert answer(argv) is None


def test_get_prints_values_as_they_were_read() -> None:
    world = World({"a.ini": "[uwsgi]\nbase=/srv\nmode=%(base)/x\nmode=2"})
    loading = read_in(world, "-M", "a.ini", "--get=mode", "--get=master", "--get=nix")
    assert answer_from(loading.configuration, world) == ("/srv/x\ntrue\n", 0)
    assert answer_from(read_in(world, "a.ini").configuration, world) is None


def test_extract_prints_a_source() -> None:
    world = World({"f": "text"})
    loading = read_in(world, "--extract", "f")
    assert answer_from(loading.configuration, world) == ("text", 0)
    loading = read_in(world, "--extract", "gone")
    answered = answer_from(loading.configuration, world)
    assert answered == ("cannot read 'gone': No such file or directory\n", 1)


def test_show_config_and_print_are_notes_to_print() -> None:
    world = World({"a.ini": "[uwsgi]\nprint = hello %(mode)\nmode = x"})
    notes = read_in(world, "a.ini", "--show-config").configuration.notes
    assert [str(note).splitlines()[0] for note in notes] == [
        "hello x",
        ";uWSGI instance configuration",
    ]
