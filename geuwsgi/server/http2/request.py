"""One request of HTTP/2, as exchanges know requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geuwsgi.errors import Disconnected
from geuwsgi.server.connection import Connection
from geuwsgi.server.exchange import Exchange

if TYPE_CHECKING:
    from geuwsgi.wsgi.response import RenderedHead


class StreamExchange(Exchange):
    """An exchange on a stream that may be reset while it waits for a core."""

    __slots__ = ()

    def choose(self) -> Any:
        if self.connection.stream.has_failed:  # type: ignore[attr-defined]
            raise Disconnected("the client reset the stream")
        return super().choose()


class RequestConnection(Connection):
    """What an exchange of HTTP/2 takes for its connection."""

    __slots__ = ()

    def end_of_head(self, exchange: Exchange, head: RenderedHead) -> bytes:
        if head.has_date:
            return b"\r\n"
        return self.site.clock.date_end
