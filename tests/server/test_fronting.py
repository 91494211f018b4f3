"""Requests that other instances answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import gevent.socket
import pytest
from gevent.server import StreamServer

from geuwsgi.errors import ConfigError
from geuwsgi.net.address import TcpAddress, UnixAddress, parse_address
from geuwsgi.offload.upstream import Connector
from geuwsgi.options import Http
from geuwsgi.protocol.uwsgi import decode_header, decode_vars
from geuwsgi.server.fronting import Backends, fronting_of, host_paths

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


def listener(kind: str, address: str) -> Any:
    return SimpleNamespace(kind=kind, address=parse_address(address))


@pytest.fixture
def fronted(routed: Routed) -> Callable[[Http], Any]:
    def make(http: Http) -> Any:
        site = routed()
        stage = fronting_of(
            http,
            [listener("http", "127.0.0.1:80"), listener("socket", "127.0.0.1:3031")],
            make_connector=lambda: Connector(
                site.server.hub, connect_timeout=2, timeout=2
            ),
            clock=lambda: site.server.clock.now,
            report=site.log.append,
        )
        assert stage is not None
        site.server.site.stages = (stage,)
        return site

    return make


def test_requests_go_to_the_backends_in_turn(
    fronted: Callable[[Http], Any], backend: Callable[[str], UwsgiBackend]
) -> None:
    one, two = backend("one"), backend("two")
    site = fronted(
        Http(
            http_to=(one.address, two.address),
            http_var=("SITE=a=b",),
            http_modifier1=5,
            http_modifier2=6,
        )
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
    fronted: Callable[[Http], Any], backend: Callable[[str], UwsgiBackend]
) -> None:
    down, up = backend("down"), backend("up")
    site = fronted(Http(http_to=(down.address, up.address)))
    down.close()
    for _ in range(4):
        assert "up /" in site.ask("/", method="POST", body="x")
    assert len(site.log) == 1
    assert "cannot connect" in site.log[0]


def test_a_request_is_repeated_only_if_it_may_be(
    fronted: Callable[[Http], Any], backend: Callable[[str], UwsgiBackend]
) -> None:
    bad, good = backend("bad"), backend("good")
    bad.silent = True
    site = fronted(Http(http_to=(bad.address, good.address)))
    assert "good /" in site.ask("/")
    assert "good /" in site.ask("/")
    answer = site.ask("/", method="POST", body="x")
    assert answer.startswith("HTTP/1.1 502 ")
    assert len(good.seen) == 2


def test_the_fallback_answers_when_nobody_else_does(
    fronted: Callable[[Http], Any], backend: Callable[[str], UwsgiBackend]
) -> None:
    down, last = backend("down"), backend("last")
    down.close()
    site = fronted(Http(http_to=(down.address,), http_fallback=(last.address,)))
    assert "last /" in site.ask("/")


def test_without_any_backend_it_is_502(
    fronted: Callable[[Http], Any], backend: Callable[[str], UwsgiBackend]
) -> None:
    down = backend("down")
    down.close()
    assert fronted(Http(http_to=(down.address,))).ask("/").startswith("HTTP/1.1 502 ")


def test_backends_can_speak_http(
    fronted: Callable[[Http], Any], routed: Routed
) -> None:
    other = routed("route-run = addvar:FOO=${HTTP_X_FORWARDED_FOR}")
    address = f"{other.address[0]}:{other.address[1]}"
    site = fronted(Http(http_to=(address,), http_backend_http=True))
    answer = site.ask("/x?y")
    assert "PATH_INFO='/x' QUERY_STRING='y'" in answer
    assert "FOO='127.0.0.1'" in answer


def test_own_sockets_are_no_backends() -> None:
    listeners = [listener("http", ":80"), listener("socket", ":3031")]
    for own in ("127.0.0.1:3031", ":3031", "0.0.0.0:3031"):
        assert (
            fronting_of(
                Http(http_to=(own,)),
                listeners,
                make_connector=lambda: Connector(None),
                clock=lambda: 0.0,
                report=print,
            )
            is None
        )


def test_malformed_options_are_refused() -> None:
    for http in (Http(http_to=("",)), Http(http_to=("a:1",), http_var=("x",))):
        with pytest.raises(ConfigError):
            fronting_of(
                http,
                [listener("http", ":80")],
                make_connector=lambda: Connector(None),
                clock=lambda: 0.0,
                report=print,
            )


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("a.test", UnixAddress("/run/a.test")),
        ("A.Test:8080", UnixAddress("/run/a.test")),
        ("", None),
        ("..", None),
        (".hidden", None),
        ("a/../b", None),
        ("a..b", None),
        ("a\0b", None),
        ("[::1]:80", None),
    ],
)
def test_a_host_becomes_a_socket_in_a_directory(
    host: str, address: UnixAddress | None
) -> None:
    assert host_paths(None, "/run/")(host) == address
    found = host_paths("/x/%s.sock", None)(host)
    assert (found is None) == (address is None)


def test_backends_that_failed_are_tried_last() -> None:
    first, second, last = (TcpAddress("h", port) for port in (1, 2, 3))
    backends = Backends([first, second], [last], grace_s=10)
    failing = next(backends.in_turn(0.0))
    backends.failed(failing, 0.0)
    order = [backend.address for backend in backends.in_turn(5.0)]
    assert order == [second, last, first]
    assert {b.address for b in list(backends.in_turn(10.0))[:2]} == {first, second}
