"""Calling an application and sending what it returns (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from geuwsgi.wsgi.filewrapper import FileWrapper


class Responder(Protocol):
    """The side of an exchange that the gateway sees."""

    environ: dict[str, Any]
    upgraded: bool

    @property
    def headers_sent(self) -> bool: ...
    def start_response(self, *args: Any) -> Callable[[bytes], None]: ...
    def write(self, chunk: bytes) -> None: ...
    def write_whole(self, body: bytes) -> None: ...
    def write_if_whole(self, result: object) -> bool: ...
    def send_file(self, fd: int, offset: int, count: int) -> None: ...
    def finish(self) -> None: ...
    def yield_to_others(self) -> None: ...
    def take_turns(self) -> None: ...


def run_application(application: Callable[..., Any], responder: Responder) -> None:
    """Call ``application`` and send its response.

    The iterable's ``close`` is called whatever happens. Raises whatever the
    application raises, and Disconnected if the client goes away.
    """
    result = application(responder.environ, responder.start_response)
    if responder.write_if_whole(result):
        return
    if responder.upgraded:
        # The connection was handed over: what comes back, often '', goes nowhere.
        close = getattr(result, "close", None)
        if close is not None:
            close()
        return
    kind = type(result)
    if kind is list or kind is tuple:
        # Everything is here, so the length is known and one write does.
        body = result[0] if len(result) == 1 else b"".join(result)
        if isinstance(body, (bytearray, memoryview)):
            body = bytes(body)
        if not isinstance(body, bytes):
            raise TypeError(
                f"the application returned {type(body).__name__}, not bytes"
            )
        responder.write_whole(body)
        return
    try:
        if kind is FileWrapper:
            region = result.file_region()
            if region is not None:
                responder.send_file(*region)
                responder.finish()
                return
        elif isinstance(result, bytes):
            responder.write_whole(result)
            return
        elif isinstance(result, str):
            raise TypeError("the application returned a str, not an iterable of bytes")
        _send_pieces(result, responder)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()


def _send_pieces(result: Any, responder: Responder) -> None:
    pieces = iter(result)
    for chunk in pieces:
        if responder.upgraded:
            if chunk:
                return
        elif type(chunk) is not bytes:
            if isinstance(chunk, (bytearray, memoryview)):
                chunk = bytes(chunk)
            elif not isinstance(chunk, bytes):
                raise TypeError(
                    f"the application yielded {type(chunk).__name__}, not bytes"
                )
        if not chunk:
            # uWSGI: an empty piece says that there is nothing yet.
            responder.yield_to_others()
            continue
        if responder.headers_sent:
            # A generator that never waits would keep the worker to itself.
            responder.take_turns()
        responder.write(chunk)
    responder.finish()
