from __future__ import annotations

import pytest

from geuwsgi.config.xml import parse_xml


def _pairs(text: str, section: str = "uwsgi") -> list[tuple[str, str | None]]:
    parsed = parse_xml(text, section)
    assert parsed.errors == []
    return [(line.name, line.value) for line in parsed.lines]


def test_elements_are_options_and_empty_ones_are_true() -> None:
    text = "<uwsgi><socket>:3031</socket><master/><x> a b </x></uwsgi>"
    assert _pairs(text) == [("socket", ":3031"), ("master", "1"), ("x", " a b ")]


def test_the_id_is_the_section() -> None:
    text = '<r><uwsgi id="a"><x>1</x></uwsgi><uwsgi id="b"><x>2</x></uwsgi></r>'
    assert _pairs(text, "b") == [("x", "2")]
    assert _pairs(text) == [("x", "1")]


def test_an_app_element_is_a_mount() -> None:
    text = '<uwsgi><app mountpoint="/x"><module>m:a</module></app></uwsgi>'
    assert _pairs(text) == [("mount", "/x=m:a")]


def test_options_know_their_lines() -> None:
    parsed = parse_xml("<uwsgi>\n <a>1</a>\n\n <b>2</b>\n</uwsgi>", "uwsgi")
    assert [line.number for line in parsed.lines] == [2, 4]


def test_a_document_type_is_refused() -> None:
    text = '<!DOCTYPE a [<!ENTITY x "y">]><uwsgi><a>&x;</a></uwsgi>'
    assert parse_xml(text, "uwsgi").errors == [(1, "a document type is refused")]


@pytest.mark.parametrize("text", ["", "<uwsgi>", "<uwsgi><a></b></uwsgi>", "\0"])
def test_broken_xml_is_an_error(text: str) -> None:
    [(_, sentence)] = parse_xml(text, "uwsgi").errors
    assert sentence.startswith("malformed XML")


def test_an_element_inside_an_option_is_an_error() -> None:
    parsed = parse_xml("<uwsgi><a><b/></a></uwsgi>", "uwsgi")
    assert parsed.errors == [(1, "<b> inside an option is refused")]


def test_the_mode_attribute_is_refused() -> None:
    parsed = parse_xml('<uwsgi><a mode="x">1</a></uwsgi>', "uwsgi")
    assert parsed.errors == [
        (1, "the attribute 'mode' (if-opt does the same) is refused")
    ]


def test_text_outside_of_options_is_told() -> None:
    parsed = parse_xml("<uwsgi>\n<a>1</a>\n<![CDATA[import x]]></uwsgi>", "uwsgi")
    assert [line.name for line in parsed.lines] == ["a"]
    assert parsed.remarks == [(3, "text outside of options is lost: 'import x'")]
