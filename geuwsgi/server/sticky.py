"""Sticky sessions: requests of one session go to one worker (geuwsgi: sticky).

Applications that keep a session's state in memory, Socket.IO's long polling above
all, need it when there is more than one worker. The head of a request says which
session it belongs to: by a cookie, a query parameter, a header field or the client's
address. If the session is another worker's, the connection goes there, descriptor
and bytes, and stays until a request of yet another session comes in on it.

Which worker has which session is in a table that all workers share. A session is
learned from the first request that names it, or from the response that makes it: a
``Set-Cookie`` of that name, or a member of that name in a JSON body, which is how
Engine.IO tells its ``sid``. Where no response ever sets the cookie, it is set here.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote_plus
from zlib import crc32

from geuwsgi.errors import ConfigError

if TYPE_CHECKING:
    from geuwsgi.server.exchange import Exchange

KINDS = ("cookie", "query", "header", "addr")

#: Seconds that a session without requests is remembered.
REMEMBERED_S = 24 * 3600

#: A session's name longer than this is hashed by its beginning only.
_LONGEST = 128
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")


class Table(Protocol):
    """Sessions and their workers, shared by all workers."""

    def get(self, key: bytes, /) -> bytes | None: ...
    def update(self, key: bytes, value: bytes, seconds: int = 0) -> object: ...


def parse_sticky(text: str) -> tuple[str, str]:
    """Return kind and name of a value of the option; ConfigError if it is neither."""
    kind, _, name = text.partition(":")
    if kind not in KINDS or (kind != "addr" and not _TOKEN.match(name)):
        raise ConfigError(
            f"sticky: {text!r} is none of cookie:NAME, query:NAME, header:NAME, addr"
        )
    return kind, name


class Sticky:
    """Decides where a request belongs. One serves a worker.

    ``workers`` is how many there are; ``worker_id`` is this one's number.
    """

    def __init__(
        self, kind: str, name: str, table: Table, *, worker_id: int, workers: int
    ) -> None:
        self._kind = kind
        self._table = table
        self._mine = str(worker_id).encode()
        self._worker_id = worker_id
        self._workers = workers
        self._name = name
        self._header = "HTTP_" + name.upper().replace("-", "_")
        quoted = re.escape(name)
        self._cookie = re.compile(rf'(?:^|[;,]\s*){quoted}="?([^;,"\s]+)')
        self._parameter = re.compile(rf"(?:^|[&;]){quoted}=([^&;]+)")
        self._member = re.compile(
            rb'"' + quoted.encode() + rb'"\s*:\s*"([!#-\[\]-~]{1,128})"'
        )

    def worker_of(self, environ: dict[str, Any]) -> int:
        """Return the worker that a request belongs to; 0 if any may have it.

        A session that nobody has is this worker's from now on.
        """
        session = self.session_of(environ)
        if not session:
            return 0
        if self._kind in ("addr", "header"):
            # Named by the client from its first request on: nothing to learn.
            return crc32(session) % self._workers + 1
        known = self._table.get(session)
        if known is None:
            self._table.update(session, self._mine, REMEMBERED_S)
            return 0
        return int(known)

    def session_of(self, environ: dict[str, Any]) -> bytes:
        """Return what names the session in a request, b"" if nothing does."""
        if self._kind == "addr":
            return str(environ.get("REMOTE_ADDR", "")).encode()
        if self._kind == "header":
            return str(environ.get(self._header, "")).encode("latin-1")[:_LONGEST]
        if self._kind == "cookie":
            match = self._cookie.search(environ.get("HTTP_COOKIE", ""))
        else:
            match = self._parameter.search(environ.get("QUERY_STRING", ""))
        if match is None:
            return b""
        value = match[1] if self._kind == "cookie" else unquote_plus(match[1])
        return value.encode("latin-1", "replace")[:_LONGEST]

    # A response may make a session.

    def learn_from_headers(self, exchange: Exchange) -> None:
        """Take note of a session cookie in the response; a response filter.

        With ``cookie`` a request without one gets one, so the next finds its way.
        """
        if self._kind != "cookie":
            return
        prefix = f"{self._name}="
        for name, value in exchange.headers or ():
            if name.lower() == "set-cookie" and value.startswith(prefix):
                session = value[len(prefix) :].partition(";")[0].strip('" ')
                self._remember(session.encode("latin-1", "replace"))
                return
        if not self.session_of(exchange.environ):
            session = secrets.token_urlsafe(16)
            self._remember(session.encode())
            exchange.add_header(
                "Set-Cookie", f"{prefix}{session}; Path=/; HttpOnly; SameSite=Lax"
            )

    def learn_from_body(self, exchange: Exchange, body: bytes) -> None:
        """Take note of a session that the first piece of a body tells."""
        if self._kind == "query" and not self.session_of(exchange.environ):
            match = self._member.search(body[:1024])
            if match is not None:
                self._remember(match[1])

    def _remember(self, session: bytes) -> None:
        if session:
            self._table.update(session[:_LONGEST], self._mine, REMEMBERED_S)
