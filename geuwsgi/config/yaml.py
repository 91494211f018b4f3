"""The yaml format: what uWSGI's own small parser reads, and what people write.

uWSGI's parser takes ``key: value`` lines under a section name and stops silently at
anything else. This one also takes sequences of scalars, quotes and blocks of scalars
that mean one string. For the rest of YAML (anchors, flow mappings, several documents)
PyYAML is used if it is installed, and named if it is not.
"""

from __future__ import annotations

import re

from geuwsgi.config.parsed import Line, Parsed

_KEY = re.compile(
    r"""(?P<key>"[^"]*"|'[^']*'|[^\s#"'\[{&*!|>%@`-][^#]*?|-[^\s#:]+)
    [ \t]*:(?:[ \t]+(?P<value>.*)|[ \t]*)$""",
    re.VERBOSE,
)
_COMMENT = re.compile(r"[ \t]+#.*$")
_SINGLE = re.compile(r"'((?:[^']|'')*)'[ \t]*(?:#.*)?")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:#.*)?')
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
}
_BEYOND = "&*!{|>"


class _Beyond(Exception):
    """Something of YAML that the small parser does not read, with its line."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(what)
        self.number = number


def parse_yaml(text: str, section: str) -> Parsed:
    """The options of a top-level mapping ``section``, sequences repeating theirs."""
    try:
        return _parse_small(text, section)
    except _Beyond as exc:
        try:
            from geuwsgi.config.pyyaml import parse_with_pyyaml
        except ImportError:
            sentence = f"{exc} is beyond the built-in YAML reader; install PyYAML"
            return Parsed([], True, [], [], [(exc.number, sentence)])
        return parse_with_pyyaml(text, section)


def _parse_small(text: str, section: str) -> Parsed:
    parsed = Parsed([], False, [], [], [])
    inside = False
    indent = -1
    key = ""
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.rstrip(" \t\r")
        content = line.lstrip(" ")
        if content == "" or content[0] == "#":
            continue
        if content[0] == "\t":
            raise _Beyond("a tab before a key", number)
        if line in ("---", "..."):
            if parsed.sections:
                raise _Beyond("a second document", number)
            continue
        depth = len(line) - len(content)
        if depth == 0 and content[0] != "-":
            name, value = _pair(content, number)
            parsed.sections.append(name)
            inside = name == section
            if inside and value:
                raise _Beyond(f"a section that is {value!r}", number)
            indent = -1
            key = ""
            continue
        if not inside:
            continue
        if content == "-" or content.startswith("- "):
            if not key or depth < indent:
                raise _Beyond("a sequence of options", number)
            item = _scalar(content[1:].strip(), number)
            parsed.lines.append(Line(key, item, number))
            continue
        if indent < 0:
            indent = depth
        if depth != indent:
            raise _Beyond("an option indented otherwise than the one before", number)
        key = _take(content, number, parsed)
    return _finished(parsed, section)


def _take(content: str, number: int, parsed: Parsed) -> str:
    """Add the option of one line; the name if its values may follow as a sequence."""
    name, value = _pair(content, number)
    if value.startswith("["):
        for item in _flow(value, number):
            parsed.lines.append(Line(name, item, number))
        return ""
    if value == "":
        parsed.lines.append(Line(name, "", number))
        return name
    parsed.lines.append(Line(name, _scalar(value, number), number))
    return ""


def _finished(parsed: Parsed, section: str) -> Parsed:
    """Drop the empty value of options whose values came as a sequence."""
    lines = []
    for index, line in enumerate(parsed.lines):
        following = parsed.lines[index + 1 : index + 2]
        is_head = line.value == "" and any(
            item.name == line.name and item.number > line.number for item in following
        )
        if not is_head:
            lines.append(line)
    return parsed._replace(lines=lines, has_section=section in parsed.sections)


def _pair(content: str, number: int) -> tuple[str, str]:
    match = _KEY.fullmatch(content)
    if match is None:
        raise _Beyond(repr(content), number)
    value = match["value"] or ""
    if value.startswith("#"):
        value = ""
    return _scalar(match["key"], number), value


def _scalar(text: str, number: int) -> str:
    if text[:1] == "'":
        match = _SINGLE.fullmatch(text)
        if match is None:
            raise _Beyond("an open quote", number)
        return match[1].replace("''", "'")
    if text[:1] == '"':
        match = _DOUBLE.fullmatch(text)
        if match is None:
            raise _Beyond("an open quote", number)
        return _ESCAPE.sub(_unescape, match[1])
    if text[:1] in _BEYOND and text:
        raise _Beyond(repr(text), number)
    if text.startswith("#"):
        return ""
    return _COMMENT.sub("", text).rstrip()


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) > 1:
        return chr(min(int(code[1:], 16), 0x10FFFF))
    return _ESCAPES.get(code, code)


def _flow(text: str, number: int) -> list[str]:
    inner = _COMMENT.sub("", text).strip()
    if not inner.endswith("]") or any(mark in inner[1:-1] for mark in "[]{}\"'"):
        raise _Beyond(repr(text), number)
    items = [item.strip() for item in inner[1:-1].split(",")]
    return [item for item in items if item]
