"""Which pre-compressed twin of a file a client takes (RFC 9110 §12.5.3). Pure."""

from __future__ import annotations

import re

TWINS = (("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz"))
"""Content codings and the suffixes of their files, best first."""

_ELEMENT = re.compile(
    r"[ \t]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)[ \t]*"
    r"(?:;[ \t]*[qQ][ \t]*=[ \t]*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*)?",
    re.ASCII,
)


def accepted_codings(field: str) -> tuple[tuple[str, str], ...]:
    """The members of ``TWINS`` that ``Accept-Encoding: field`` takes, preferred first.

    Equal weights leave the order of ``TWINS``. A coding that the client weighs below
    ``identity`` is not offered. Elements that are not understood count as absent.
    """
    weights: dict[str, float] = {}
    for text in field.split(","):
        element = _ELEMENT.fullmatch(text)
        if element is not None:
            weights[element[1].lower()] = float(element[2] or 1)
    for alias, name in (("x-gzip", "gzip"),):  # §8.4.1.3
        if alias in weights:
            weights.setdefault(name, weights[alias])
    anything_else = weights.get("*", 0.0)
    # Unnamed, identity is acceptable but is what we are trying to beat.
    plain = weights.get("identity", 0.0)
    taken = []
    for coding, suffix in TWINS:
        weight = weights.get(coding, anything_else)
        if weight > 0 and weight >= plain:
            taken.append((-weight, coding, suffix))
    taken.sort(key=lambda entry: entry[0])
    return tuple((coding, suffix) for _, coding, suffix in taken)
