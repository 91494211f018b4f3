"""The ini format as uWSGI reads it: lines, no quoting, no continuation.

A comment is a line whose first character is ``;`` or ``#``; behind a value it belongs
to the value. A line without ``=`` is an option without a value.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BLANKS = " \t\r"
_HEADER = re.compile(r"\[([^\]]*)\](.*)")


class Line(NamedTuple):
    """One option in a file: its name, its value as a text, and its line number."""

    name: str
    value: str | None
    number: int


class Document(NamedTuple):
    """What a file says in the section asked for.

    ``remarks`` are (line number, sentence) about things lost or repaired.
    """

    lines: list[Line]
    has_section: bool
    sections: list[str]
    remarks: list[tuple[int, str]]


def parse_ini(text: str, section: str) -> Document:
    """The options of all parts of ``text`` headed ``[section]``, in order."""
    document = Document([], False, [], [])
    lines = document.lines
    current: str | None = None
    lost_at = 0
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip(_BLANKS)
        if line == "" or line[0] in ";#":
            continue
        if line[0] == "[":
            current = _header(line, number, document)
            document.sections.append(current)
            continue
        if current is None:
            lost_at = lost_at or number
        if current != section:
            continue
        name, _, value = line.partition("=")
        lines.append(Line(name.rstrip(_BLANKS), value.lstrip(_BLANKS), number))
    if lost_at:
        sentence = "lines before the first [section] belong to none and are lost"
        document.remarks.append((lost_at, sentence))
    return document._replace(has_section=section in document.sections)


def _header(line: str, number: int, document: Document) -> str:
    match = _HEADER.fullmatch(line)
    if match is None:
        document.remarks.append((number, f"section header {line!r} has no ']'"))
        return line[1:]
    if match[2].strip(_BLANKS):
        sentence = f"text after the section header is left out: {match[2].strip()!r}"
        document.remarks.append((number, sentence))
    return match[1]
