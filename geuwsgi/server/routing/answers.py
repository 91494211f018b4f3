"""How an action answers a request, or lets nobody answer it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.wsgi.response import reason_phrase

if TYPE_CHECKING:
    from geuwsgi.server.exchange import Exchange

Headers = list[tuple[str, str]]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_A_URI = re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}]")


def answer(
    exchange: Exchange, status: str, body: bytes, headers: Headers | None = None
) -> None:
    """Answer with a whole body, in place of whoever would have answered."""
    fields = list(headers or ())
    if status[:3] not in ("204", "304"):
        fields.append(("Content-Length", str(len(body))))
    exchange.start_response(status, fields)
    if exchange.method != "HEAD":
        exchange.write_whole(body)
    else:
        exchange.finish()


def answer_status(exchange: Exchange, code: int, reason: str = "") -> None:
    """Answer with a status whose phrase is the body."""
    phrase = reason_phrase(code)
    answer(
        exchange,
        f"{code} {reason or phrase}",
        phrase.encode("latin-1"),
        [("Content-Type", "text/plain")],
    )


def drop(exchange: Exchange) -> None:
    """End the exchange without an answer: the connection just closes."""
    exchange.keep_alive = False
    exchange.complete = True


def field_value(text: str, what: str) -> str:
    """``text`` if a header field may hold it.

    What a client sent can end up in it, and a line feed there would be the start of
    another field: then the request is refused.
    """
    if _CONTROL.search(text):
        raise RemoteProtocolError(f"control character in {what}: {text!r}")
    return text


def as_uri(text: str) -> str:
    """Percent-encode what no URI holds: decoded paths have blanks and line feeds."""
    return _NOT_IN_A_URI.sub(lambda match: f"%{ord(match[0]) & 0xFF:02X}", text)
