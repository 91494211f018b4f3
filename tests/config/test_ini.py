from __future__ import annotations

from geuwsgi.config.ini import parse_ini


def _pairs(text: str, section: str = "uwsgi") -> list[tuple[str, str | None]]:
    return [(line.name, line.value) for line in parse_ini(text, section).lines]


def test_blanks_around_line_name_and_value_are_cut() -> None:
    assert _pairs(" [uwsgi]\n \t a \t=\t b \r\n") == [("a", "b")]


def test_a_comment_is_a_line_that_begins_with_one() -> None:
    text = "[uwsgi]\n;a=1\n  #b=2\nc = 3 ; four\nd = 5 # six"
    assert _pairs(text) == [("c", "3 ; four"), ("d", "5 # six")]


def test_the_name_ends_at_the_first_equals_sign() -> None:
    assert _pairs("[uwsgi]\nenv = A=B=C") == [("env", "A=B=C")]


def test_a_line_without_equals_sign_has_an_empty_value() -> None:
    assert _pairs("[uwsgi]\nmaster\nvacuum =") == [("master", ""), ("vacuum", "")]


def test_quotes_belong_to_the_value() -> None:
    assert _pairs('[uwsgi]\na = "b c"') == [("a", '"b c"')]


def test_only_the_section_asked_for_counts_and_it_may_come_twice() -> None:
    text = "[uwsgi]\na=1\n[web]\nb=2\n[uwsgi]\nc=3"
    assert _pairs(text) == [("a", "1"), ("c", "3")]
    assert _pairs(text, "web") == [("b", "2")]


def test_line_numbers_are_those_of_the_file() -> None:
    lines = parse_ini("\n\n[uwsgi]\n\na=1\n;\nb=2", "uwsgi").lines
    assert [line.number for line in lines] == [5, 7]


def test_lines_before_the_first_section_are_told() -> None:
    parsed = parse_ini("; head\na=1\n[uwsgi]\nb=2", "uwsgi")
    assert parsed.remarks == [
        (2, "lines before the first [section] belong to none and are lost")
    ]


def test_a_comment_after_a_header_is_left_out_and_told() -> None:
    parsed = parse_ini("[uwsgi] ; mine\na=1", "uwsgi")
    assert [line.name for line in parsed.lines] == ["a"]
    assert parsed.remarks == [
        (1, "text after the section header is left out: '; mine'")
    ]


def test_a_header_without_its_bracket_is_told() -> None:
    parsed = parse_ini("[uwsgi\na=1", "uwsgi")
    assert parsed.has_section
    assert parsed.remarks == [(1, "section header '[uwsgi' has no ']'")]


def test_a_missing_section_is_reported_with_those_that_exist() -> None:
    parsed = parse_ini("[web]\na=1\n[api]\n", "uwsgi")
    assert not parsed.has_section
    assert parsed.sections == ["web", "api"]
