"""The head of a response: what the application said, checked and rendered.

PEP 3333 lets an application send almost any string as a header, so this is where
header injection, contradictory framing and hop-by-hop fields end. What is forbidden
raises; nothing is cleaned up quietly, except hop-by-hop fields, which are the
server's to say: they are left out, and ``Connection: close`` is obeyed.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from geuwsgi.errors import LocalProtocolError

PLAIN = 0
CONTENT_LENGTH = 1
DATE = 2
CONNECTION = 3
HOP_BY_HOP = 4

_KINDS = {
    "content-length": CONTENT_LENGTH,
    "date": DATE,
    "connection": CONNECTION,
    "keep-alive": HOP_BY_HOP,
    "proxy-connection": HOP_BY_HOP,
    "te": HOP_BY_HOP,
    "trailer": HOP_BY_HOP,
    "transfer-encoding": HOP_BY_HOP,
    "upgrade": HOP_BY_HOP,
}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_STATUS = re.compile(r"([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*))?\Z")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CACHE_LIMIT = 1024
_REMEMBERED_HEADS = 512
_REMEMBERED_BYTES = 512


class RenderedHead:
    """What ``HeadRenderer.render`` made of one response head. Never changed: shared.

    ``start`` is the status line and the field lines, without Content-Length, which the
    framing adds: ``content_length`` is -1 if the application gave none. ``framed`` has
    it where it was given. ``count`` is how many fields the application gave.
    ``has_no_body`` is set where a response never has one, whatever the application says.
    """

    __slots__ = (
        "code",
        "content_length",
        "count",
        "framed",
        "has_date",
        "has_no_body",
        "reason",
        "start",
        "wants_close",
    )

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        self.start = self.framed = b""
        self.has_no_body = code == 204 or code == 304
        self.count = 0
        self.content_length = -1
        self.has_date = False
        self.wants_close = False


class HeadRenderer:
    """Renders response heads.

    One serves a worker: it remembers checked names and whole heads, because most
    applications answer with the same few again and again.
    """

    __slots__ = (
        "_heads",
        "_kinds",
        "_last_head",
        "_last_headers",
        "_last_status",
        "_statuses",
    )

    def __init__(self) -> None:
        self._kinds: dict[str, int] = {}
        self._statuses: dict[str, tuple[int, str]] = {}
        self._heads: dict[tuple[object, ...], RenderedHead] = {}
        # The last that was found there. Most applications give the same tuples in a
        # list: comparing those is faster than a key and its hash.
        self._last_status: str | None = None
        self._last_headers: list[tuple[str, str]] = []
        self._last_head = RenderedHead(0, "")

    def render(self, status: str, headers: list[tuple[str, str]]) -> RenderedHead:
        """Check and render what was given to ``start_response``.

        Raises TypeError for things that are not strings, or not latin-1, as uWSGI
        does, and LocalProtocolError for what HTTP forbids.
        """
        if status is self._last_status and headers == self._last_headers:
            return self._last_head
        key = (status, *headers)
        try:
            known = self._heads.get(key)
        except TypeError:
            # A header that is a list, say; what is wrong with it is found below.
            return self._render(status, headers)
        if known is not None:
            self._last_status = status
            self._last_headers = list(headers)
            self._last_head = known
            return known
        head = self._render(status, headers)
        # A cookie is one client's: nothing to find again, and a secret to forget.
        if (
            len(head.start) <= _REMEMBERED_BYTES
            and b"set-cookie:" not in head.start.lower()
        ):
            if len(self._heads) >= _REMEMBERED_HEADS:
                self._heads.clear()
            self._heads[key] = head
        return head

    def _render(self, status: str, headers: list[tuple[str, str]]) -> RenderedHead:
        try:
            code, reason = self._statuses[status]
        except (KeyError, TypeError):
            code, reason = self._learn_status(status)
        head = RenderedHead(code, reason)
        kinds = self._kinds
        lines = [f"HTTP/1.1 {code} {reason}\r\n"]
        for name, value in headers:
            try:
                kind = kinds[name]
            except (KeyError, TypeError):
                kind = self._learn_name(name)
            if type(value) is not str:
                value = _as_str(value)
            if kind:
                if kind == DATE:
                    head.has_date = True
                else:
                    if kind == CONTENT_LENGTH:
                        self._take_length(head, value)
                    elif kind == CONNECTION and "close" in value.lower():
                        head.wants_close = True
                    continue
            lines.append(f"{name}: {value}\r\n")
        head.count = len(headers)
        text = "".join(lines)
        count = len(lines)
        # Every line ends in CRLF, so one more of either is injection (RFC 9110 §5.5).
        if text.count("\n") != count or text.count("\r") != count or "\0" in text:
            raise LocalProtocolError(_describe_injection(headers))
        try:
            head.start = text.encode("latin-1")
        except UnicodeEncodeError:
            raise TypeError("http header must be encodable in latin1") from None
        head.framed = head.start
        if head.content_length >= 0:
            head.framed += b"Content-Length: %d\r\n" % head.content_length
        return head

    def _learn_status(self, status: object) -> tuple[int, str]:
        if not isinstance(status, str):
            raise TypeError("http status must be a string")
        match = _STATUS.match(status)
        if match is None:
            raise LocalProtocolError(f"malformed status: {status!r}")
        code = int(match[1])
        if code < 200:
            raise LocalProtocolError(f"status {code} does not end a request")
        reason = match[2] or _reason_phrase(code)
        if len(self._statuses) < _CACHE_LIMIT:
            self._statuses[status] = code, reason
        return code, reason

    def _learn_name(self, name: object) -> int:
        if not isinstance(name, str):
            raise TypeError("http header name must be a string")
        if not _TOKEN.match(name):
            raise LocalProtocolError(f"malformed header field name: {name!r}")
        kind = _KINDS.get(name.lower(), PLAIN)
        if len(self._kinds) < _CACHE_LIMIT:
            self._kinds[name] = kind
        return kind

    @staticmethod
    def _take_length(head: RenderedHead, value: str) -> None:
        if not value.isdigit() or not value.isascii():
            raise LocalProtocolError(f"malformed Content-Length: {value!r}")
        length = int(value)
        if head.content_length not in (-1, length):
            raise LocalProtocolError(
                f"Content-Length given as {head.content_length} and as {value}"
            )
        head.content_length = length


def _as_str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("http header value must be a string")
    return str(value)


def _reason_phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Unknown"


def _describe_injection(headers: list[tuple[str, str]]) -> str:
    for name, value in headers:
        if _FORBIDDEN.search(value):
            return f"control character in header field {name}: {value!r}"
    return "control character in a header field"


def reason_phrase(code: int) -> str:
    """Return the standard reason phrase of a status, "Unknown" if there is none."""
    return _reason_phrase(code)
