"""The ``key=value,key=value`` text that several options take as their value."""

from __future__ import annotations

from collections.abc import Iterator


def split_escaped(text: str, separator: str) -> list[str]:
    r"""Split at ``separator`` unless a backslash stands before it.

    The backslash that protects a separator is dropped, others stay.
    """
    parts = [""]
    escaped = False
    for character in text:
        if escaped:
            parts[-1] += character if character == separator else "\\" + character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == separator:
            parts.append("")
        else:
            parts[-1] += character
    if escaped:
        parts[-1] += "\\"
    return parts


def parse_keyval(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield key and value of each part; the value is None where no ``=`` stands.

    Blanks around keys and values are dropped, empty parts skipped. The order stays,
    and so do repetitions.
    """
    for part in split_escaped(text, ","):
        key, equals, value = part.partition("=")
        if part.strip():
            yield key.strip(), value.strip() if equals else None
