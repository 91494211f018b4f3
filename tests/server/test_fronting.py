"""Requests that other instances answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic
from typing import Any

import gevent.socket
import pytest
from gevent.server import StreamServer

from geuwsgi.errors import ConfigError
from geuwsgi.offload.upstream import Connector
from geuwsgi.protocol.uwsgi import decode_header, decode_vars
from geuwsgi.routers.routes import Routes, StaticNodes
from geuwsgi.server.fronting import Fronting, parse_variable

Routed = Callable[..., Any]


class UwsgiBackend:
    """Answers with its name and what it was asked; ``behave`` may do otherwise."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[dict[str, object]] = []
        self.silent = False
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        assert self._server.server_port
        self.address = f"127.0.0.1:{self._server.server_port}"

    def _serve(self, client: gevent.socket.socket, address: object) -> None:
        with client:
            header = client.recv(4, gevent.socket.MSG_WAITALL)
            modifier1, size, modifier2 = decode_header(header)
            variables: dict[str, object] = {"modifiers": (modifier1, modifier2)}
            decode_vars(client.recv(size, gevent.socket.MSG_WAITALL), variables)
            self.seen.append(variables)
            if self.silent:
                return
            length = int(str(variables.get("CONTENT_LENGTH") or 0))
            body = client.recv(length, gevent.socket.MSG_WAITALL) if length else b""
            client.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
                + f"{self.name} {variables['PATH_INFO']} ".encode()
                + body
            )

    def close(self) -> None:
        self._server.stop()


@pytest.fixture
def backend() -> Iterator[Callable[[str], UwsgiBackend]]:
    with ExitStack() as stack:

        def make(name: str) -> UwsgiBackend:
            made = UwsgiBackend(name)
            stack.callback(made.close)
            return made

        yield make


Fronted = Callable[..., Any]


@pytest.fixture
def fronted(routed: Routed) -> Fronted:
    def make(*to: str, fallback: tuple[str, ...] = (), **options: Any) -> Any:
        site = routed()
        routes = Routes(
            [StaticNodes(to, clock=monotonic)],
            StaticNodes(fallback, clock=monotonic),
            clock=monotonic,
        )
        connector = Connector(site.server.hub, connect_timeout=2, timeout=2)
        stage = Fronting(connector, routes, report=site.log.append, **options)
        site.server.site.stages = (stage,)
        return site

    return make


def test_requests_go_to_the_backends_in_turn(
    fronted: Fronted, backend: Callable[[str], UwsgiBackend]
) -> None:
    one, two = backend("one"), backend("two")
    site = fronted(
        one.address,
        two.address,
        variables=dict([parse_variable("SITE=a=b")]),
        modifiers=(5, 6),
    )
    names = [site.ask(f"/{number}").rpartition("/")[0][-4:-1] for number in range(4)]
    assert sorted(names) == ["one", "one", "two", "two"]
    assert len(one.seen) == len(two.seen) == 2
    assert one.seen[0]["SITE"] == "a=b"
    assert one.seen[0]["UWSGI_ROUTER"] == "http"
    assert one.seen[0]["REMOTE_ADDR"] == "127.0.0.1"
    assert one.seen[0]["modifiers"] == (5, 6)
    assert "one /x hello" in site.ask("/x", method="POST", body="hello")


def test_a_backend_that_is_down_is_left_alone(
    fronted: Fronted, backend: Callable[[str], UwsgiBackend]
) -> None:
    down, up = backend("down"), backend("up")
    site = fronted(down.address, up.address)
    down.close()
    for _ in range(4):
        assert "up /" in site.ask("/", method="POST", body="x")
    assert len(site.log) == 1
    assert "cannot connect" in site.log[0]


def test_a_request_is_repeated_only_if_it_may_be(
    fronted: Fronted, backend: Callable[[str], UwsgiBackend]
) -> None:
    bad, good = backend("bad"), backend("good")
    bad.silent = True
    site = fronted(bad.address, good.address)
    assert "good /" in site.ask("/")
    assert "good /" in site.ask("/")
    answer = site.ask("/", method="POST", body="x")
    assert answer.startswith("HTTP/1.1 502 ")
    assert len(good.seen) == 2


def test_the_fallback_answers_when_nobody_else_does(
    fronted: Fronted, backend: Callable[[str], UwsgiBackend]
) -> None:
    down, last = backend("down"), backend("last")
    down.close()
    site = fronted(down.address, fallback=(last.address,))
    assert "last /" in site.ask("/")


def test_without_any_backend_it_is_502(
    fronted: Fronted, backend: Callable[[str], UwsgiBackend]
) -> None:
    down = backend("down")
    down.close()
    assert fronted(down.address).ask("/").startswith("HTTP/1.1 502 ")


def test_backends_can_speak_http(fronted: Fronted, routed: Routed) -> None:
    other = routed("route-run = addvar:FOO=${HTTP_X_FORWARDED_FOR}")
    address = f"{other.address[0]}:{other.address[1]}"
    site = fronted(address, speaks_http=True)
    answer = site.ask("/x?y")
    assert "PATH_INFO='/x' QUERY_STRING='y'" in answer
    assert "FOO='127.0.0.1'" in answer


def test_a_variable_needs_a_name() -> None:
    for text in ("x", "=x"):
        with pytest.raises(ConfigError):
            parse_variable(text)


def test_large_bodies_are_read_before_a_backend_is_asked(
    fronted: Fronted, backend: Callable[[str], UwsgiBackend]
) -> None:
    one = backend("one")
    site = fronted(one.address, buffer_above=10)
    assert site.ask("/", method="POST", body="x" * 1000).count("x" * 1000) == 1
    assert site.ask("/", method="POST", body="small").count("one / small") == 1


def test_what_backends_are_told_of_the_host_and_the_path(
    fronted: Fronted, backend: Callable[[str], UwsgiBackend]
) -> None:
    one = backend("one")
    site = fronted(one.address, server_name_is_host=True, keeps_slashes=True)
    for path in ("/a%2Fb%20c?x=%2F", "/plain", "/../a%2fb"):
        site.ask(path)
    told = [(seen["PATH_INFO"], seen["QUERY_STRING"]) for seen in one.seen]
    assert told == [("/a%2Fb c", "x=%2F"), ("/plain", ""), ("/a/b", "")]
    assert one.seen[0]["SERVER_NAME"] == one.seen[0]["HTTP_HOST"]
