"""A real server in this process whose site has routing rules."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import gevent.socket
import pytest

from geuwsgi.config.model import Assignment
from geuwsgi.offload.upstream import Connector
from geuwsgi.options import Headers, Offload, Routing, Static
from geuwsgi.server.edges import PLAIN, Edge
from geuwsgi.server.routing.build import build_routing
from geuwsgi.server.routing.kit import Kit
from geuwsgi.server.site import Limits
from geuwsgi.server.static.build import file_service
from geuwsgi.shared import scoreboard
from geuwsgi.worker.serve import Server

SHOWN = (
    *("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "REQUEST_METHOD"),
    *("REMOTE_ADDR", "REMOTE_USER", "DOCUMENT_ROOT", "FOO", "BAR", "wsgi.url_scheme"),
)


def show_environ(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with the variables rules may change."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-App", "1")])
    shown = " ".join(f"{name}={environ.get(name)!r}" for name in SHOWN)
    return [f"APP {shown}".encode("latin-1")]


class RoutedSite:
    """``ask`` sends a request over a socket and returns the whole answer."""

    def __init__(
        self,
        rules: list[str],
        app: Callable[..., Any],
        *,
        headers: Headers | None = None,
        routing: Routing | None = None,
        cache: Callable[[str], Any] | None = None,
        limits: Limits | None = None,
        edge: Edge = PLAIN,
        **kit_parts: Any,
    ) -> None:
        self.log: list[str] = []
        self.logged: list[Any] = []
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(16)
        self._listening.setblocking(False)
        self.address: tuple[str, int] = self._listening.getsockname()
        application = SimpleNamespace(number=0, call=app, requests=0)
        self.server = Server(
            listeners=[
                SimpleNamespace(  # type: ignore[list-item]
                    socket=self._listening,
                    protocol="http",
                    kind="http",
                    server_port="80",
                    shares_port=False,
                    name="test",
                )
            ],
            find_application=lambda environ: application,
            counters=memoryview(bytearray(8 * scoreboard.FIELDS)).cast("q"),
            cores=10,
            limits=lambda listener: limits or Limits(),
            edges=[edge],
        )
        site = self.server.site
        site.log_request = self.logged.append
        kit = Kit(
            files=file_service(Static(), Offload()),
            report=self.log.append,
            connector=Connector(site.hub, connect_timeout=2, timeout=2),
            cache=cache or (lambda name: None),
            **kit_parts,
        )
        assignments = []
        for number, rule in enumerate(rules, 1):
            name, _, value = rule.partition(" = ")
            assignments.append(Assignment(name, value, f"test.ini:{number}"))
        parts = build_routing(
            assignments, headers or Headers(), routing or Routing(), kit
        )
        site.stages = parts.stages
        site.response_filters = parts.response_filters
        site.error_answers = parts.error_answers
        self.server.start()

    def ask_raw(self, request: bytes) -> bytes:
        """Send bytes, return what comes until the server closes."""
        with gevent.socket.create_connection(self.address, timeout=5) as client:
            client.sendall(request)
            received = b""
            while piece := client.recv(65536):
                received += piece
        return received

    def ask(self, path: str, *fields: str, method: str = "GET", body: str = "") -> str:
        """Send a request and return status line, fields and body as text."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        request = "\r\n".join(lines) + "\r\n\r\n" + body
        return self.ask_raw(request.encode("latin-1")).decode("latin-1")

    def close(self) -> None:
        self.server.drain(reason="stop", deadline_s=0.0)
        for acceptor in self.server._acceptors:
            acceptor.pause()
        self.server._ticker.stop()
        self.server._ticker.close()
        self._listening.close()


@pytest.fixture
def routed() -> Iterator[Callable[..., RoutedSite]]:
    """Make sites: ``routed("route = ^/a return:404", ...)``."""
    with ExitStack() as stack:

        def make(
            *rules: str, app: Callable[..., Any] = show_environ, **options: Any
        ) -> RoutedSite:
            site = RoutedSite(list(rules), app, **options)
            stack.callback(site.close)
            return site

        yield make
