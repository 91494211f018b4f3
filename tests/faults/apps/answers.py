"""Answers as it is asked to, also in ways that no application may."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import uwsgi

TEXT = ("Content-Type", "text/plain")

#: (status, fields, what is returned) by path; "?" stands for the query.
ANSWERS: dict[str, tuple[Any, Any, Any]] = {
    "/value": ("200 OK", [("X-Value", "?")], [b"body"]),
    "/name": ("200 OK", [("?", "x")], [b"body"]),
    "/status": ("?", [TEXT], [b"body"]),
    "/cookie": ("200 OK", [("Set-Cookie", "?")], [b"body"]),
    "/location": ("302 Found", [("Location", "?")], [b"body"]),
    "/length": ("200 OK", [("Content-Length", "?")], [b"body"]),
    "/sendfile": ("200 OK", [("X-Sendfile", "?")], []),
    "/coding": (
        "200 OK",
        [("Transfer-Encoding", "chunked"), ("Content-Length", "4")],
        [b"body"],
    ),
    "/two-lengths": (
        "200 OK",
        [("Content-Length", "4"), ("Content-Length", "5")],
        [b"body"],
    ),
    "/no-content": ("204 No Content", [TEXT, ("Content-Length", "4")], [b"body"]),
    "/not-modified": ("304 Not Modified", [TEXT], [b"body"]),
    "/pieces": ("200 OK", [TEXT], [b"bo", b"dy"]),
    "/hop-by-hop": (
        "200 OK",
        [("Upgrade", "h2c"), ("Trailer", "X"), ("Keep-Alive", "timeout=9999")],
        [b"body"],
    ),
    "/types/status": (200, [TEXT], [b"body"]),
    "/types/value": ("200 OK", [("X-Value", 1)], [b"body"]),
    "/types/bytes": ("200 OK", [(b"X-Value", b"1")], [b"body"]),
    "/types/fields": ("200 OK", 5, [b"body"]),
    "/types/text": ("200 OK", [TEXT], ["body"]),
    "/types/number": ("200 OK", [TEXT], [4]),
    "/types/nothing": ("200 OK", [TEXT], None),
}


def application(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    query = unquote(environ["QUERY_STRING"], "latin-1")
    if path == "/raise":
        raise RuntimeError(f"a secret of {__file__}")
    if path == "/origin":
        uwsgi.websocket_handshake(environ["HTTP_SEC_WEBSOCKET_KEY"], query, "")
        return []
    if path == "/protocol":
        uwsgi.websocket_handshake(environ["HTTP_SEC_WEBSOCKET_KEY"], "", query)
        return []
    if path == "/silent":
        return [b"body"]
    status, fields, body = ANSWERS.get(path, ("404 Not Found", [TEXT], [b"body"]))
    if isinstance(fields, list):
        fields = [
            tuple(query if part == "?" else part for part in pair) for pair in fields
        ]
    start_response(query if status == "?" else status, fields)
    return body
