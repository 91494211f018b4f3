"""The response that carries a file.

Conditional requests, ranges, pre-compressed twins, ``Expires``, and who copies the
bytes: we, or (``file-serve-mode``) the web server in front, told by a header. Used
for static files, for the routing actions that send a file, and for ``X-Sendfile``.
"""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from geuwsgi.errors import ConfigError
from geuwsgi.protocol.dates import format_http_date
from geuwsgi.server.static.coding import TWINS, accepted_codings
from geuwsgi.server.static.conditional import Verdict, judge, range_still_holds
from geuwsgi.server.static.expires import ExpiresRules, Subject
from geuwsgi.server.static.ranges import (
    Span,
    content_range,
    parse_range,
    unsatisfied_range,
)
from geuwsgi.server.static.store import FileStore, Record

Headers = list[tuple[str, str]]

_CONDITIONS = frozenset(
    {
        *("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"),
        *("HTTP_IF_UNMODIFIED_SINCE", "HTTP_RANGE"),
    }
)
_NOT_IN_304 = ("Content-Type", "Content-Length", "Content-Encoding")


class FileExchange(Protocol):
    """What this package needs of an exchange."""

    environ: dict[str, Any]

    def start_response(self, status: str, headers: Headers, /) -> object:
        """Set the status and the header fields of the response."""

    def write(self, body: bytes, /) -> None:
        """Send a block of the body, the head before the first one."""

    def send_file(self, fd: int, offset: int, count: int, /) -> None:
        """Send bytes of an open file; returns when they are sent."""


class ServeMode(enum.Enum):
    """Who copies the bytes of a file to the client."""

    SEND = ""
    X_ACCEL_REDIRECT = "X-Accel-Redirect"
    X_SENDFILE = "X-Sendfile"


_SERVE_MODES = {
    "x-accel-redirect": ServeMode.X_ACCEL_REDIRECT,
    "xaccelredirect": ServeMode.X_ACCEL_REDIRECT,
    "nginx": ServeMode.X_ACCEL_REDIRECT,
    "x-sendfile": ServeMode.X_SENDFILE,
    "xsendfile": ServeMode.X_SENDFILE,
    "sendfile": ServeMode.SEND,
}


def parse_serve_mode(text: str | None) -> ServeMode:
    """Parse the value of ``file-serve-mode``."""
    if not text:
        return ServeMode.SEND
    mode = _SERVE_MODES.get(text.lower())
    if mode is None:
        names = ", ".join(_SERVE_MODES)
        raise ConfigError(f"unknown file-serve-mode {text!r}; known are {names}")
    return mode


class TwinRules:
    """For which files pre-compressed twins are looked for (``static-gzip*``)."""

    __slots__ = ("_all", "_extensions", "_prefixes", "_searches")

    def __init__(
        self,
        *,
        everything: bool = False,
        prefixes: Iterable[str] = (),
        extensions: Iterable[str] = (),
        searches: Iterable[Callable[[str], object]] = (),
    ) -> None:
        self._all = everything
        self._prefixes = tuple(prefixes)
        self._extensions = tuple(extensions)
        self._searches = tuple(searches)

    def __bool__(self) -> bool:
        return bool(self._all or self._prefixes or self._extensions or self._searches)

    def apply_to(self, path: str) -> bool:
        """Whether the file at ``path`` may have twins."""
        return (
            self._all
            or path.startswith(self._prefixes)
            or path.endswith(self._extensions)
            or any(search(path) for search in self._searches)
        )


class FileAnswer:
    """Answers exchanges with files of a store."""

    def __init__(
        self,
        store: FileStore,
        *,
        expires: ExpiresRules | None = None,
        twins: TwinRules | None = None,
        mode: ServeMode = ServeMode.SEND,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._expires = expires or ExpiresRules(())
        self._twins = twins or TwinRules()
        self._mode = mode
        self._clock = clock
        #: Whether a response depends on the request beyond its conditions.
        self._varies = bool(self._twins or self._expires or mode is not ServeMode.SEND)

    def send(
        self, exchange: FileExchange, record: Record, given: Headers | None = None
    ) -> bool:
        """Answer with the file of a record just found.

        ``given`` are fields of whoever chose the file; they go before ours. Returns
        False, and has sent nothing, if the file was replaced or removed since: the
        caller then looks again or lets somebody else answer.
        """
        environ = exchange.environ
        coding = ""
        headers: Headers = []
        named: frozenset[str] = frozenset()
        if given:
            headers += given
            named = frozenset(name.lower() for name, _ in given)
        original = record
        if self._twins and self._twins.apply_to(record.path):
            headers.append(("Vary", "Accept-Encoding"))
            accepted = environ.get("HTTP_ACCEPT_ENCODING")
            if accepted:
                record, coding = self._twin(record, accepted)
        if original.media_type is not None and "content-type" not in named:
            headers.append(("Content-Type", original.media_type))
        if coding:
            headers.append(("Content-Encoding", coding))
        # A twin is another representation; never may it share a tag (§8.8.3.3).
        etag = f'{record.etag[:-1]}-{coding}"' if coding else record.etag
        headers.append(("Last-Modified", record.last_modified))
        headers.append(("ETag", etag))
        if self._expires and "expires" not in named:
            self._add_expires(headers, environ, original)
        # A file name may hold a line feed; a field value may not.
        if self._mode is not ServeMode.SEND and record.real_path.isprintable():
            headers.append((self._mode.value, _header_path(record.real_path)))
            exchange.start_response("200 OK", headers)
            return True
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            return self._send_whole(exchange, record, headers, remember=not given)
        verdict = judge(
            environ, etag=etag, mtime=record.mtime, last_modified=record.last_modified
        )
        if verdict is not Verdict.SEND:
            _refuse_to_send(exchange, verdict, headers)
            return True
        headers.append(("Accept-Ranges", "bytes"))
        spans = _asked_spans(environ, record, etag) if method == "GET" else None
        if spans is None:
            return self._send_whole(exchange, record, headers, remember=not given)
        if not spans:
            headers = [("Content-Range", unsatisfied_range(record.size))]
            headers.append(("Content-Length", "0"))
            exchange.start_response("416 Range Not Satisfiable", headers)
            return True
        return self._send_spans(exchange, record, headers, spans)

    def send_again(self, exchange: FileExchange, record: Record) -> bool:
        """Answer with a file that was found before, in as few steps as there are.

        False, and nothing sent, if the file or the request needs a closer look.
        """
        environ = exchange.environ
        headers = record.headers
        if headers is None or not _CONDITIONS.isdisjoint(environ):
            return False
        body = record.body
        if body is not None:
            if not self._store.is_fresh(record):
                return False
            exchange.start_response("200 OK", headers)
            if body and environ["REQUEST_METHOD"] == "GET":
                exchange.write(body)
            return True
        fd = self._store.open_fresh(record)
        if fd is None:
            return False
        try:
            exchange.start_response("200 OK", headers)
            if environ["REQUEST_METHOD"] == "GET":
                exchange.send_file(fd, 0, record.size)
        finally:
            os.close(fd)
        return True

    def _twin(self, record: Record, accepted: str) -> tuple[Record, str]:
        if record.twins is None:
            record.twins = tuple(
                (coding, record.path + suffix)
                for coding, suffix in TWINS
                if self._store.find(record.path + suffix, record.root) is not None
            )
        if record.twins:
            paths = dict(record.twins)
            for coding, _ in accepted_codings(accepted):
                if coding in paths:
                    twin = self._store.find(paths[coding], record.root)
                    if twin is not None:
                        return twin, coding
        return record, ""

    def _add_expires(
        self, headers: Headers, environ: dict[str, Any], record: Record
    ) -> None:
        subject = Subject(
            filename=record.real_path,
            uri=environ.get("REQUEST_URI", ""),
            path_info=environ.get("PATH_INFO", ""),
            media_type=record.media_type,
            mtime=record.mtime,
        )
        moment = self._expires.expires_at(subject, self._clock())
        if moment is not None:
            headers.append(("Expires", format_http_date(moment)))

    def _send_whole(
        self,
        exchange: FileExchange,
        record: Record,
        headers: Headers,
        *,
        remember: bool,
    ) -> bool:
        headers.append(("Content-Length", str(record.size)))
        if remember and not self._varies:
            record.headers = headers
        body = record.body
        if exchange.environ["REQUEST_METHOD"] == "HEAD":
            exchange.start_response("200 OK", headers)
            return True
        if body is not None:
            exchange.start_response("200 OK", headers)
            if body:
                exchange.write(body)
            return True
        fd = self._store.open(record)
        if fd is None:
            return False
        try:
            exchange.start_response("200 OK", headers)
            if record.size:
                exchange.send_file(fd, 0, record.size)
        finally:
            os.close(fd)
        return True

    def _send_spans(
        self,
        exchange: FileExchange,
        record: Record,
        headers: Headers,
        spans: tuple[Span, ...],
    ) -> bool:
        fd = self._store.open(record)
        if fd is None:
            return False
        try:
            if len(spans) == 1:
                start, stop = spans[0]
                headers.append(("Content-Range", content_range(spans[0], record.size)))
                headers.append(("Content-Length", str(stop - start)))
                exchange.start_response("206 Partial Content", headers)
                exchange.send_file(fd, start, stop - start)
            else:
                _send_parts(exchange, fd, record, headers, spans)
        finally:
            os.close(fd)
        return True


def _asked_spans(
    environ: dict[str, Any], record: Record, etag: str
) -> tuple[Span, ...] | None:
    field = environ.get("HTTP_RANGE")
    if field is None:
        return None
    if_range = environ.get("HTTP_IF_RANGE")
    if if_range is not None and not range_still_holds(
        if_range, etag=etag, last_modified=record.last_modified
    ):
        return None
    return parse_range(field, record.size)


def _refuse_to_send(exchange: FileExchange, verdict: Verdict, headers: Headers) -> None:
    if verdict is Verdict.NOT_MODIFIED:
        kept = [field for field in headers if field[0] not in _NOT_IN_304]
        exchange.start_response("304 Not Modified", kept)
    else:
        exchange.start_response("412 Precondition Failed", [("Content-Length", "0")])


def _send_parts(
    exchange: FileExchange,
    fd: int,
    record: Record,
    headers: Headers,
    spans: tuple[Span, ...],
) -> None:
    boundary = os.urandom(16).hex()
    part_type = f"Content-Type: {record.media_type}\r\n" if record.media_type else ""
    heads = [
        f"\r\n--{boundary}\r\n{part_type}"
        f"Content-Range: {content_range(span, record.size)}\r\n\r\n".encode("latin-1")
        for span in spans
    ]
    tail = f"\r\n--{boundary}--\r\n".encode("latin-1")
    length = len(tail) + sum(map(len, heads))
    length += sum(stop - start for start, stop in spans)
    headers = [field for field in headers if field[0] != "Content-Type"]
    headers.append(("Content-Type", f"multipart/byteranges; boundary={boundary}"))
    headers.append(("Content-Length", str(length)))
    exchange.start_response("206 Partial Content", headers)
    for head, (start, stop) in zip(heads, spans, strict=True):
        exchange.write(head)
        exchange.send_file(fd, start, stop - start)
    exchange.write(tail)


def _header_path(path: str) -> str:
    """A path as a field value: its bytes, in the latin-1 clothes of WSGI."""
    return os.fsencode(path).decode("latin-1")
