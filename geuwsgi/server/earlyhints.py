"""``wsgi.early_hints``: what the browser may fetch while the application thinks.

Called with header fields, mostly ``Link``, it sends a 103 (RFC 8297) before the
response. Clients that cannot know of interim responses (HTTP/1.0, web servers on uwsgi
sockets) are not told; neither is anybody once the response has begun.
"""

from __future__ import annotations

from geuwsgi.server.context import current_exchange
from geuwsgi.server.httpconnection import HttpConnection

_STATUS_LINE = b"HTTP/1.1 103 Early Hints\r\n"

Headers = list[tuple[str, str]]


def early_hints(headers: Headers) -> None:
    """Send the fields of ``headers`` as early hints to the client of the request.

    Call it from a greenlet of the request. Raises what ``start_response`` raises for
    fields that are none.
    """
    exchange = current_exchange()
    if exchange is None or exchange.headers_sent or exchange.upgraded:
        return
    connection = exchange.connection
    if not isinstance(connection, HttpConnection) or not exchange.chunks_allowed:
        return
    # Checked like the fields of any response; the 200 is only for the renderer.
    head = exchange.site.renderer.render("200 OK", headers)
    _, _, fields = head.start.partition(b"\r\n")
    connection.stream.send_all(_STATUS_LINE + fields + b"\r\n")
