"""Conditional requests: what If-* fields make of an answer (RFC 9110 §13).

Pure. The caller knows the representation (its entity tag and modification time) and
asks; it need not know the order of precedence, which is §13.2.2.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

from geuwsgi.protocol.dates import parse_http_date

_ENTITY_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


class Verdict(enum.Enum):
    """What to answer."""

    SEND = "send"
    NOT_MODIFIED = "not modified"
    PRECONDITION_FAILED = "precondition failed"


def judge(
    environ: Mapping[str, object], *, etag: str, mtime: int, last_modified: str
) -> Verdict:
    """Evaluate the preconditions of a GET or HEAD request.

    ``etag`` is quoted and strong, ``last_modified`` is ``mtime`` as the response
    would show it. Dates that are no dates count as absent (§13.1.3, §13.1.4).
    """
    if_match = environ.get("HTTP_IF_MATCH")
    if if_match is not None:
        if not _lists(str(if_match), etag, weakly=False):
            return Verdict.PRECONDITION_FAILED
    else:
        unmodified_since = environ.get("HTTP_IF_UNMODIFIED_SINCE")
        if unmodified_since is not None and _changed_after(
            str(unmodified_since), mtime, last_modified
        ):
            return Verdict.PRECONDITION_FAILED
    if_none_match = environ.get("HTTP_IF_NONE_MATCH")
    if if_none_match is not None:
        if _lists(str(if_none_match), etag, weakly=True):
            return Verdict.NOT_MODIFIED
        return Verdict.SEND
    modified_since = environ.get("HTTP_IF_MODIFIED_SINCE")
    if (
        modified_since is not None
        and _changed_after(str(modified_since), mtime, last_modified) is False
    ):
        return Verdict.NOT_MODIFIED
    return Verdict.SEND


def range_still_holds(if_range: str, *, etag: str, last_modified: str) -> bool:
    """Whether a ``Range`` that came with ``If-Range`` may be answered (§13.1.5).

    An entity tag compares strongly, so a weak one never holds; a date must be the
    very ``Last-Modified`` sent, not a later one.
    """
    return if_range.strip() in (etag, last_modified)


def _changed_after(field: str, mtime: int, last_modified: str) -> bool | None:
    """Whether the representation is newer than the date; None if it is no date."""
    field = field.strip()
    if field == last_modified:  # nearly always: clients repeat what they were sent
        return False
    date = parse_http_date(field)
    return None if date is None else mtime > date


def _lists(field: str, etag: str, *, weakly: bool) -> bool:
    if field == etag:
        return True
    if field.strip() == "*":
        return True
    return any(
        tag == etag and (weakly or not weak) for weak, tag in _ENTITY_TAG.findall(field)
    )
