"""The ini format as uWSGI reads it: lines, no quoting, no continuation.

A comment is a line whose first character is ``;`` or ``#``; behind a value it belongs
to the value. A line without ``=`` is an option without a value.
"""

from __future__ import annotations

import re

from geuwsgi.config.parsed import Line, Parsed

_BLANKS = " \t\r"
_HEADER = re.compile(r"\[([^\]]*)\](.*)")


def parse_ini(text: str, section: str) -> Parsed:
    """The options of all parts of ``text`` headed ``[section]``, in order."""
    parsed = Parsed([], False, [], [], [])
    lines = parsed.lines
    current: str | None = None
    lost_at = 0
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip(_BLANKS)
        if line == "" or line[0] in ";#":
            continue
        if line[0] == "[":
            current = _header(line, number, parsed)
            parsed.sections.append(current)
            continue
        if current is None:
            lost_at = lost_at or number
        if current != section:
            continue
        name, _, value = line.partition("=")
        lines.append(Line(name.rstrip(_BLANKS), value.lstrip(_BLANKS), number))
    if lost_at:
        sentence = "lines before the first [section] belong to none and are lost"
        parsed.remarks.append((lost_at, sentence))
    parsed.remarks.sort()
    return parsed._replace(has_section=section in parsed.sections)


def _header(line: str, number: int, parsed: Parsed) -> str:
    match = _HEADER.fullmatch(line)
    if match is None:
        parsed.remarks.append((number, f"section header {line!r} has no ']'"))
        return line[1:]
    if match[2].strip(_BLANKS):
        sentence = f"text after the section header is left out: {match[2].strip()!r}"
        parsed.remarks.append((number, sentence))
    return match[1]
