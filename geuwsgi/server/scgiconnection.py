"""SCGI on one connection: one request, one answer, close."""

from __future__ import annotations

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import scgi
from geuwsgi.server.cgiconnection import DEFAULT_VARS, CgiConnection
from geuwsgi.server.connection import READ_SIZE
from geuwsgi.server.exchange import Exchange


class ScgiConnection(CgiConnection):
    """``status_line`` is what an answer begins with: a CGI header, or for front
    servers that want the whole head of HTTP, its version."""

    __slots__ = ()

    status_line = "Status:"

    def next_exchange(self) -> Exchange | None:
        try:
            exchange = self._read_request()
        except RemoteProtocolError as error:
            self.refuse(error)
            return None
        if exchange is None:
            return None
        body = exchange.input
        if body is not None and not body.complete and not self.await_small_body(body):
            return None
        return exchange

    def _read_request(self) -> Exchange | None:
        stream = self.stream
        stream.deadline = self.site.clock.now + self.limits.head_timeout
        received = stream.recv(READ_SIZE)
        while not (block := scgi.find_block(received, self.limits.head_bytes)):
            more = stream.recv(READ_SIZE)
            if not more:
                return None
            received += more
        stream.deadline = 0.0
        start, end = block
        environ = dict(DEFAULT_VARS)
        count = scgi.decode_vars(received[start:end], environ)
        self.find_path(environ)
        length = self.complete_environ(environ)
        exchange = Exchange(self.site, self, environ)
        exchange.protocol = self.status_line
        exchange.packet_size = end - start
        exchange.vars_count = count * 2
        self.is_head = environ["REQUEST_METHOD"] == "HEAD"
        if length:
            self.attach_body(exchange, length, received[end + 1 :])
        return exchange


class ScgiNphConnection(ScgiConnection):
    """For front servers that pass the answer on as it is (uWSGI: scgi-nph-socket)."""

    __slots__ = ()

    status_line = "HTTP/1.1"
