"""Answers, and counts how often it was asked for something that must not arrive."""

from __future__ import annotations

from typing import Any

_calls = {"/called": 0, "/smuggled": 0}


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    path = environ["PATH_INFO"]
    if path in _calls:
        _calls[path] += 1
    body = environ["wsgi.input"].read()
    if path == "/counts":
        body = f"{_calls['/called']} {_calls['/smuggled']}".encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


def swallowing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer 200 whatever is wrong with the body."""
    path = environ["PATH_INFO"]
    if path in _calls:
        _calls[path] += 1
    body = f"{_calls['/called']} {_calls['/smuggled']}".encode()
    try:
        environ["wsgi.input"].read()
    except Exception as exc:
        body = type(exc).__name__.encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
