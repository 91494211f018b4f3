"""Requests that a cache answers (uWSGI: ``check-cache``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from geuwsgi.server.routing.answers import answer

if TYPE_CHECKING:
    from geuwsgi.server.exchange import Exchange


class CachedResponses:
    """A stage that looks for the path and query of a GET.

    A value that begins with a status line is sent as it is, and the connection ends
    with it; any other is the body of a 200. (uWSGI sends that as it is, too, which no
    client understands.)
    """

    def __init__(self, get: Callable[[bytes], bytes | None]) -> None:
        self._get = get

    def __call__(self, exchange: Exchange) -> bool:
        """Answer, or return False for the next stage."""
        if exchange.method != "GET":
            return False
        environ = exchange.environ
        uri = environ.get("REQUEST_URI") or environ.get("PATH_INFO", "")
        value = self._get(uri.encode("latin-1")) if uri else None
        if value is None:
            return False
        if value.startswith(b"HTTP/"):
            exchange.write_raw(value)
            exchange.finish()
        else:
            answer(exchange, "200 OK", value, [("Content-Type", "text/html")])
        return True
