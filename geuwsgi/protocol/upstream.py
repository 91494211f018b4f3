"""The other end of HTTP/1.x: requests to a backend and heads of its responses.

A backend is trusted more than a client, but not to frame its responses: what it says
about lengths is read as strictly as a client's word, because our client shares the
connection with the next response (RFC 9112 §6.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from geuwsgi.errors import RemoteProtocolError

MAX_HEAD = 65536

_STATUS_LINE = re.compile(
    r"HTTP/1\.[01] ([1-9]\d\d)(?: ([\t -~\x80-\xff]*))?", re.ASCII
)
_FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*)")

HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "proxy-authenticate"),
    }
)

#: Fields of a request that `encode_request` writes by itself, or that were for us.
_WRITTEN_APART = frozenset(
    {
        *("host", "expect", "http2-settings", "x-forwarded-for"),
        *("content-length", "content-type"),
    }
)

_NEVER_UPGRADED_TO = frozenset({"h2c", "h2"})


class ResponseHead:
    """The head of a backend's response.

    ``length`` is the announced length of the body, -1 if there was none;
    ``chunked`` says how the body is coded.
    """

    __slots__ = ("chunked", "code", "fields", "length", "reason")

    def __init__(self, code: int, reason: str, fields: list[tuple[str, str]]) -> None:
        self.code = code
        self.reason = reason
        self.fields = fields
        self.length = -1
        self.chunked = False

    @property
    def status(self) -> str:
        """Code and reason, as WSGI has them."""
        return f"{self.code} {self.reason}" if self.reason else str(self.code)

    def end_to_end_fields(self) -> list[tuple[str, str]]:
        """The fields that are meant for the client."""
        named = {
            token.strip().lower()
            for name, value in self.fields
            if name.lower() == "connection"
            for token in value.split(",")
        }
        return [
            (name, value)
            for name, value in self.fields
            if name.lower() not in HOP_BY_HOP and name.lower() not in named
        ]


def parse_response_head(head: bytes) -> ResponseHead:
    """Parse a head, with or without the blank line at its end.

    Lines may end in LF alone, as CGI-like backends write them. Raises
    RemoteProtocolError with status 502.
    """
    lines = head.decode("latin-1").replace("\r\n", "\n").rstrip("\n").split("\n")
    match = _STATUS_LINE.fullmatch(lines[0])
    if match is None:
        raise RemoteProtocolError(
            f"malformed status line of a backend: {lines[0][:200]!r}", 502
        )
    fields = []
    for line in lines[1:]:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise RemoteProtocolError(
                f"malformed header field of a backend: {line[:200]!r}", 502
            )
        fields.append((field[1], field[2].rstrip(" \t")))
    response = ResponseHead(int(match[1]), match[2] or "", fields)
    _read_framing(response)
    return response


def _read_framing(response: ResponseHead) -> None:
    for name, value in response.fields:
        name = name.lower()
        if name == "transfer-encoding":
            if value.lower() != "chunked" or response.chunked:
                raise RemoteProtocolError(
                    f"transfer coding of a backend is not understood: {value!r}", 502
                )
            response.chunked = True
        elif name == "content-length":
            if not (value.isascii() and value.isdigit()) or len(value) > 18:
                raise RemoteProtocolError(
                    f"malformed Content-Length of a backend: {value!r}", 502
                )
            if response.length not in (-1, int(value)):
                raise RemoteProtocolError("a backend gave two Content-Lengths", 502)
            response.length = int(value)
    if response.chunked and response.length >= 0:
        raise RemoteProtocolError(
            "a backend gave both Content-Length and Transfer-Encoding", 502
        )


def encode_request(
    environ: Mapping[str, object],
    *,
    host: str = "",
    forwarded: bool = True,
    chunked: bool = False,
) -> bytes:
    """Write the head of the request in ``environ`` for a backend.

    One request a connection, so ``Connection: close``, unless the client asks for
    another protocol: then Upgrade is passed on. ``host`` replaces the Host field.
    ``chunked`` says that a body follows in chunks, because nobody knows its length;
    without it the body is of CONTENT_LENGTH bytes, or there is none.
    """
    uri = str(environ.get("REQUEST_URI") or environ.get("PATH_INFO") or "/")
    lines = [f"{environ['REQUEST_METHOD']} {uri} HTTP/1.1"]
    lines.append(f"Host: {host or environ.get('HTTP_HOST', 'localhost')}")
    left_out = HOP_BY_HOP | _WRITTEN_APART | _connection_options(environ)
    for name, value in environ.items():
        if not name.startswith("HTTP_") or type(value) is not str:
            continue
        field = name[5:].replace("_", "-").title()
        if field.lower() not in left_out:
            lines.append(f"{field}: {value}")
    if environ.get("CONTENT_TYPE"):
        lines.append(f"Content-Type: {environ['CONTENT_TYPE']}")
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif environ.get("CONTENT_LENGTH"):
        lines.append(f"Content-Length: {environ['CONTENT_LENGTH']}")
    before = environ.get("HTTP_X_FORWARDED_FOR")
    if forwarded:
        hops = [str(hop) for hop in (before, environ.get("REMOTE_ADDR")) if hop]
        lines.append(f"X-Forwarded-For: {', '.join(hops)}")
    elif before:
        lines.append(f"X-Forwarded-For: {before}")
    if upgrade := wanted_upgrade(environ):
        lines.append("Connection: Upgrade")
        lines.append(f"Upgrade: {upgrade}")
    else:
        lines.append("Connection: close")
    text = "\r\n".join(lines)
    if text.count("\r") != len(lines) - 1 or text.count("\n") != len(lines) - 1:
        raise RemoteProtocolError("control character in a request to be passed on")
    return f"{text}\r\n\r\n".encode("latin-1")


def wanted_upgrade(environ: Mapping[str, object]) -> str:
    """The protocols that the client would rather speak, empty if there are none.

    Never HTTP/2: through a connection that was upgraded to it, any request would reach
    the backend as if it had come through here.
    """
    upgrade = environ.get("HTTP_UPGRADE")
    if (
        not upgrade
        or environ.get("SERVER_PROTOCOL") != "HTTP/1.1"
        or "upgrade" not in _connection_options(environ)
    ):
        return ""
    protocols = [protocol.strip(" \t") for protocol in str(upgrade).split(",")]
    return ", ".join(
        protocol
        for protocol in protocols
        if protocol and protocol.lower() not in _NEVER_UPGRADED_TO
    )


def _connection_options(environ: Mapping[str, object]) -> set[str]:
    """What Connection names: fields that are for the next hop only (RFC 9110 §7.6.1)"""
    options = str(environ.get("HTTP_CONNECTION", "")).lower().split(",")
    return {option.strip(" \t") for option in options}


def uwsgi_variables(environ: Mapping[str, object]) -> dict[bytes, bytes]:
    """The variables of a request that a uwsgi packet carries."""
    return {
        name.encode("latin-1"): value.encode("latin-1")
        for name, value in environ.items()
        if type(value) is str and not name.startswith(("wsgi.", "uwsgi.", "geuwsgi."))
    }
