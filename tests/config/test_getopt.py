from __future__ import annotations

import pytest

from geuwsgi.config.getopt import parse_command_line
from geuwsgi.options import REGISTRY


def _options(*argv: str) -> list[tuple[str, str | None]]:
    parsed = parse_command_line(argv, REGISTRY)
    assert parsed.errors == []
    return parsed.options


def _errors(*argv: str) -> list[str]:
    return [str(error) for error in parse_command_line(argv, REGISTRY).errors]


def test_a_needed_value_follows_or_is_joined() -> None:
    expected = [("processes", "4")]
    assert _options("--processes", "4") == expected
    assert _options("--processes=4") == expected
    assert _options("-p", "4") == expected
    assert _options("-p4") == expected


def test_a_flag_stands_alone() -> None:
    assert _options("--master", "-L") == [("master", None), ("disable-logging", None)]
    assert _errors("--master=1") == [
        "command line: option '--master' takes no value, but got '1'"
    ]


def test_flags_may_come_in_a_bunch() -> None:
    assert _options("-MLp", "4") == [
        ("master", None),
        ("disable-logging", None),
        ("processes", "4"),
    ]


def test_an_optional_value_must_be_joined() -> None:
    parsed = parse_command_line(["--chmod-socket", "660"], REGISTRY)
    assert parsed.options == [("chmod-socket", None)]
    assert parsed.arguments == ["660"]
    assert _options("--chmod-socket=660") == [("chmod-socket", "660")]
    assert _options("-C660") == [("chmod-socket", "660")]
    assert _options("-C") == [("chmod-socket", None)]


def test_other_words_are_kept_for_the_end() -> None:
    parsed = parse_command_line(["app.ini", "-M", "-", "--", "-p", "x.ini"], REGISTRY)
    assert parsed.options == [("master", None)]
    assert parsed.arguments == ["app.ini", "-", "-p", "x.ini"]


def test_the_beginning_of_a_name_is_enough_if_it_fits_only_one() -> None:
    assert _options("--processe", "3") == [("processes", "3")]
    assert _options("--enable-thread") == [("enable-threads", None)]


def test_beginnings_of_names_of_one_option_are_not_ambiguous() -> None:
    assert _options("--spooler-freq", "3") == [("spooler-freq", "3")]
    assert _options("--log-format-s") == [("log-format-strftime", None)]


def test_an_ambiguous_beginning_lists_what_it_may_be() -> None:
    assert _errors("--mast") == [
        "command line: option '--mast' is ambiguous;"
        " it may be --master, --master-as-root, --master-fifo"
    ]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--harakriri", "unknown option '--harakriri'; did you mean '--harakiri'?"),
        ("--=x", "unknown option '--'"),
        ("-k", "unknown option '-k'"),
        ("--processes", "option '--processes' needs a value"),
        ("-p", "option '-p' needs a value"),
    ],
)
def test_mistakes_are_told(word: str, message: str) -> None:
    assert _errors(word) == [f"command line: {message}"]


def test_all_mistakes_are_told_together() -> None:
    assert len(_errors("--nix", "-k", "--nax", "-p")) == 4
