"""The ``Range`` field: which bytes of a representation are wanted (RFC 9110 §14).

Pure. A ``Range`` that is malformed, of another unit or abusive is ignored, which
§14.2 allows at any time: the whole representation is sent. Ranges that overlap or
touch are joined, so what is sent never exceeds the representation however the
question is put (CVE-2011-3192 asked for the same bytes a thousand times).
"""

from __future__ import annotations

import re

# Real clients ask for one range; PDF viewers for a handful.
MAX_RANGES = 64

_RANGES = re.compile(r"bytes=[ \t]*(.+)", re.IGNORECASE | re.DOTALL)
# Who asks for 40 digits is told that there are not so many bytes.
_SPEC = re.compile(r"[ \t]*(\d{0,40})-(\d{0,40})[ \t]*", re.ASCII)

Span = tuple[int, int]
"""First byte and the byte after the last."""


def parse_range(field: str, size: int) -> tuple[Span, ...] | None:
    """Return the spans ``field`` asks for, in the order asked.

    None means: ignore the field, send everything. An empty tuple means that no byte
    of the representation was asked for: 416. Overlapping and adjacent spans are
    joined into the place of the first one.
    """
    match = _RANGES.fullmatch(field)
    if match is None:
        return None
    specs = match[1].split(",")
    if len(specs) > MAX_RANGES:
        return None
    spans: list[Span] = []
    for text in specs:
        if not text.strip(" \t"):
            continue  # an empty list element counts for nothing (§5.6.1.2)
        spec = _SPEC.fullmatch(text)
        if spec is None:
            return None
        span = _span_of(spec[1], spec[2], size)
        if span is None:
            return None
        if span[0] < span[1]:
            spans.append(span)
    return tuple(_joined(spans))


def _span_of(first: str, last: str, size: int) -> Span | None:
    if first:
        if last and int(last) < int(first):
            return None
        stop = min(int(last) + 1, size) if last else size
        return int(first), max(stop, 0)
    if not last:
        return None
    return max(size - int(last), 0), size


def _joined(spans: list[Span]) -> list[Span]:
    groups: list[tuple[int, int, int]] = []  # first place asked, start, stop
    for start, stop, place in sorted(
        (start, stop, place) for place, (start, stop) in enumerate(spans)
    ):
        if groups and start <= groups[-1][2]:
            first, group_start, group_stop = groups[-1]
            groups[-1] = min(first, place), group_start, max(group_stop, stop)
        else:
            groups.append((place, start, stop))
    return [(start, stop) for _, start, stop in sorted(groups)]


def content_range(span: Span, size: int) -> str:
    """Format the ``Content-Range`` of one span (§14.4)."""
    return f"bytes {span[0]}-{span[1] - 1}/{size}"


def unsatisfied_range(size: int) -> str:
    """Format the ``Content-Range`` of a 416."""
    return f"bytes */{size}"
