"""What every file parser returns."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """One option in a file: its name, its value as a text, and its line number."""

    name: str
    value: str | None
    number: int


class Parsed(NamedTuple):
    """What a file says in the section asked for.

    ``remarks`` and ``errors`` are (line number, sentence); remarks are about things
    lost or repaired. A file with errors may still have given some lines.
    """

    lines: list[Line]
    has_section: bool
    sections: list[str]
    remarks: list[tuple[int, str]]
    errors: list[tuple[int, str]]
