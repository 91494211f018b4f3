"""One way into all file formats: a text, its format and a section name."""

from __future__ import annotations

from typing import NamedTuple

from geuwsgi.config.ini import Line, parse_ini


class Parsed(NamedTuple):
    """What a file says in the section asked for.

    ``remarks`` and ``errors`` are (line number, sentence); a file with errors may
    still have given some lines.
    """

    lines: list[Line]
    has_section: bool
    sections: list[str]
    remarks: list[tuple[int, str]]
    errors: list[tuple[int, str]]


def parse_document(text: str, format: str, section: str) -> Parsed:
    """The options of ``section`` in a text of that format."""
    if format == "ini":
        document = parse_ini(text, section)
        return Parsed(*document, errors=[])
    return Parsed([], True, [], [], [(1, f"the format {format!r} is not read yet")])
