"""To which session a connection of HTTP/2 belongs: that of its first request.

Its later requests come to the same worker, so a browser, which has one connection to
a site, is where its session began; when it comes back with a new connection, the first
request tells. What comes first is read twice, here and by whoever serves it: nothing
is answered before it is known who that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import gevent
import h2.config
import h2.connection
import h2.events
import h2.exceptions

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.server.connection import READ_SIZE
from geuwsgi.server.http2.guard import FrameGuard
from geuwsgi.server.http2.heads import Field, request_head

if TYPE_CHECKING:
    from geuwsgi.server.connection import Connection

#: Seconds that the first request is waited for. Clients send it with the preface;
#: those that open a connection in advance, or wait for our settings, must not starve.
_WAIT_S = 0.1


def read_first_request(
    connection: Connection, received: bytes
) -> tuple[bytes, dict[str, Any] | None]:
    """Return all that was read, ``received`` included, and the first request's environ.

    None in its place if no request came at once, or it is malformed: then nobody else
    is asked to serve it.
    """
    reader = h2.connection.H2Connection(
        h2.config.H2Configuration(client_side=False, header_encoding=False)
    )
    reader.initiate_connection()
    guard = FrameGuard()
    stream = connection.stream
    fields: list[Field] | None = None
    more = received
    with gevent.Timeout(_WAIT_S, False):  # type: ignore[arg-type]
        while True:
            try:
                guard.look(more)
                events = reader.receive_data(more)
            except (RemoteProtocolError, h2.exceptions.ProtocolError):
                break
            for event in events:
                if isinstance(event, h2.events.RequestReceived):
                    fields = cast("list[Field]", event.headers or [])
                    break
            if fields is not None or len(received) > connection.limits.head_bytes:
                break
            more = stream.recv(READ_SIZE)
            if not more:
                break
            received += more
    if fields is None:
        return received, None
    environ: dict[str, Any] = dict(connection.environ)
    try:
        connection.site.parser.parse(request_head(fields), environ)
    except RemoteProtocolError:
        return received, None
    return received, environ
