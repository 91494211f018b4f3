"""What clients of HTTP/2 do that is allowed, or nearly, and only meant to harm."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from time import monotonic
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.event
import gevent.socket
import pytest
from gevent.server import StreamServer

pytest.importorskip("h2.connection")

import h2.connection
import h2.errors
import h2.events

from geuwsgi.offload.upstream import Connector
from geuwsgi.routers.routes import Routes, StaticNodes
from geuwsgi.server.fronting import Fronting
from geuwsgi.server.http2.guard import PREFACE
from geuwsgi.server.site import Limits
from geuwsgi.server.slowbodies import SlowBodies
from geuwsgi.server.specialedges import SpecialEdge
from tests.fuzz.http2 import (
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    literal,
)
from tests.server.http2.test_http2 import Client

Routed = Callable[..., Any]

_CALM = h2.errors.ErrorCodes.ENHANCE_YOUR_CALM


class Site:
    """A server of HTTP/2 whose application keeps the paths it was asked for."""

    def __init__(self, routed: Routed, **limits: float) -> None:
        self.asked: list[str] = []
        self.go_on = gevent.event.Event()
        self.made = routed(
            app=self._answer,
            edge=SpecialEdge(speaks_http2=True),
            limits=Limits(**limits),  # type: ignore[arg-type]
        )
        self.address: tuple[str, int] = self.made.address
        self.cores = self.made.server.site.cores

    def _answer(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.asked.append(path)
        if path == "/wait":
            self.go_on.wait(5)
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"%d" % len(body)]

    def attack(self, *octets: bytes) -> bytes:
        """Send ``octets`` after the preface; all that comes until the server closes."""
        received = b""
        with gevent.socket.create_connection(self.address, timeout=5) as client:
            try:
                for some in (PREFACE + frame(SETTINGS, 0, 0, b""), *octets):
                    client.sendall(some)
                while piece := client.recv(65536):
                    received += piece
            except (ConnectionError, TimeoutError):
                pass
        return received


@pytest.fixture
def site(routed: Routed) -> Iterator[Site]:
    made = Site(routed)
    yield made
    made.go_on.set()


def head(
    number: int, path: bytes = b"/", *, flags: int = 5, more: bytes = b""
) -> bytes:
    line = literal(b":method", b"GET") + literal(b":scheme", b"http")
    line += literal(b":path", path) + literal(b":authority", b"a")
    return frame(HEADERS, flags, number, line + more)


def goodbye(received: bytes) -> int | None:
    """The code of the GOAWAY in what a server sent."""
    while len(received) >= 9:
        end = 9 + int.from_bytes(received[:3], "big")
        if received[3] == 7:
            return int.from_bytes(received[13:17], "big")
        received = received[end:]
    return None


FLOODS = {
    "pings": frame(PING, 0, 0, bytes(8)),
    "settings": frame(SETTINGS, 0, 0, b""),
    "many settings": frame(SETTINGS, 0, 0, b"\0\4\0\1\0\0" * 50),
    "priorities": frame(PRIORITY, 0, 3, b"\0\0\0\0\x10"),
    "updates": frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "unknown frames": frame(0x77, 0, 0, b""),
    "empty data": frame(DATA, 0, 1, b""),
}


@pytest.mark.parametrize("what", list(FLOODS))
def test_frames_that_ask_for_nothing_have_an_end(
    site: Site, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    begin = head(1, flags=4) if what == "empty data" else b""
    started = monotonic()
    flood = gevent.spawn(site.attack, begin, *[FLOODS[what] * 1000] * 8)
    gevent.sleep(0)
    assert Client(site.address).get("/next")[0] == "200"
    received = flood.get(timeout=10)
    # A reset may have eaten it: it had sent more than was read.
    assert goodbye(received) in (_CALM, None)
    assert monotonic() - started < 5
    assert "ask for nothing" in capfd.readouterr().err


def test_requests_that_are_reset_at_once_are_not_run(site: Site) -> None:
    reset = b"".join(
        head(number) + frame(RST_STREAM, 0, number, b"\0\0\0\x08")
        for number in range(1, 200, 2)
    )
    site.attack(reset + frame(GOAWAY, 0, 0, bytes(8)))
    assert Client(site.address).get("/next")[0] == "200"
    assert site.asked == ["/next"]


def test_resets_are_not_made_good_by_requests_that_were_reset(site: Site) -> None:
    client = gevent.socket.create_connection(site.address, timeout=5)
    with client:
        client.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
        received = b""
        try:
            for number in range(1, 2000, 2):
                client.sendall(head(number))
                gevent.sleep(0)
                client.sendall(frame(RST_STREAM, 0, number, b"\0\0\0\x08"))
                gevent.sleep(0)
            while piece := client.recv(65536):
                received += piece
        except ConnectionError:
            pass
    assert len(site.asked) < 900


def wait_until_all_is_read(client: Client) -> None:
    """A ping is answered behind all that was sent before it."""
    client.h2.ping(b"12345678")
    client.flush()
    while True:
        events = client.h2.receive_data(client.socket.recv(65536))
        if any(isinstance(event, h2.events.PingAckReceived) for event in events):
            return


def test_a_reset_request_gives_its_place_to_others(site: Site) -> None:
    client = Client(site.address)
    waiting = [client.request("/wait") for _ in range(10)]  # all cores
    while len(site.asked) < len(waiting):
        gevent.sleep(0.001)
    for number in [client.request("/late") for _ in range(5)]:
        client.h2.reset_stream(number)
    client.flush()
    last = client.request("/last")
    wait_until_all_is_read(client)
    site.go_on.set()
    client.wait_for(*waiting, last)
    assert "/late" not in site.asked
    assert site.cores.busy == 0


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ("400", [("content-length", "5")]),
        ("431", [(f"x{number}", "y" * 9000) for number in range(8)]),
    ],
)
def test_heads_that_lie_are_refused(
    site: Site, wanted: str, fields: list[tuple[str, str]]
) -> None:
    client = Client(site.address)
    client.h2.config.validate_outbound_headers = False
    assert client.get("/x", *fields)[0] == wanted
    assert client.get("/y")[0] == "200"
    assert site.asked == ["/y"]


def test_what_the_log_tells_is_one_line(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    site.attack(head(1, more=literal(b"x\ny", b"1")))
    site.attack(head(1, more=literal(b"x", b"1\r\nbad request from nobody")))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all("bad HTTP/2 from 127.0.0.1" in line for line in lines)


def test_a_header_block_without_end_has_one(site: Site) -> None:
    endless = frame(CONTINUATION, 0, 1, literal(b"x", b"y"))
    received = site.attack(head(1, flags=1), endless * 100)
    assert goodbye(received) in (h2.errors.ErrorCodes.PROTOCOL_ERROR, None)
    assert not site.asked


def test_a_field_that_is_repeated_by_its_index_ends_the_connection(
    site: Site,
) -> None:
    bomb = literal(b"x", b"y" * 4000, 0x40) + b"\xbe" * 10_000
    received = site.attack(head(1, more=bomb))
    assert goodbye(received) in (_CALM, None)
    assert not site.asked


def test_who_says_nothing_and_whose_head_trickles_in_are_given_up(
    routed: Routed,
) -> None:
    site = Site(routed, head_timeout=0.3, keepalive_timeout=0.3)
    idle = Client(site.address)
    assert idle.get("/x")[0] == "200"
    began = monotonic()
    with gevent.socket.create_connection(site.address, timeout=5) as client:
        client.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
        try:
            for octet in head(1, flags=1)[:30]:
                client.sendall(bytes((octet,)))
                gevent.sleep(0.1)
            while client.recv(65536):
                pass
        except ConnectionError:
            pass
    assert monotonic() - began < 2.5
    while idle.read():
        pass
    assert idle.goodbye == h2.errors.ErrorCodes.NO_ERROR


def test_a_small_body_that_trickles_in_holds_no_core(routed: Routed) -> None:
    site = Site(routed, body_timeout=0.2)
    client = Client(site.address)
    slow = client.request("/slow", ("content-length", "3"), method="POST", end=False)
    assert client.get("/x")[0] == "200"
    assert site.asked == ["/x"]
    client.wait_for(slow)
    assert client.heads[slow][":status"] == "408"
    quick = client.request("/q", ("content-length", "3"), method="POST", end=False)
    client.h2.send_data(quick, b"abc", end_stream=True)
    client.flush()
    client.wait_for(quick)
    assert client.bodies[quick] == b"3"


def test_bodies_that_come_slowly_keep_no_core_that_others_wait_for(
    site: Site,
) -> None:
    client = Client(site.address)
    slow = [client.request("/slow", method="POST", end=False) for _ in range(10)]
    while len(site.asked) < len(slow):
        gevent.sleep(0.001)
    waiting = client.request("/next")
    client.wait_for(waiting)
    assert client.heads[waiting][":status"] == "200"
    lending: Any = SimpleNamespace(
        is_needed=True,
        is_full=True,
        exchanges=site.made.server.site.lending.exchanges,
    )
    given_up = SlowBodies(site.made.log.append)
    given_up.give_up(site.cores, lending, monotonic())
    given_up.give_up(site.cores, lending, monotonic() + 60)
    client.wait_for(*slow)


def test_a_backend_is_not_kept_waiting_for_a_stream_that_was_reset(
    site: Site,
) -> None:
    gone = gevent.event.Event()

    def serve(peer: gevent.socket.socket, address: object) -> None:
        with peer:
            while peer.recv(65536):
                pass
            gone.set()

    backend = StreamServer(("127.0.0.1", 0), serve)
    backend.start()
    try:
        server = site.made.server
        nodes = StaticNodes([f"127.0.0.1:{backend.server_port}"], clock=monotonic)
        routes = Routes([nodes], StaticNodes((), clock=monotonic), clock=monotonic)
        connector = Connector(server.hub, connect_timeout=2, timeout=60)
        server.site.stages = (Fronting(connector, routes, report=site.made.log.append),)
        client = Client(site.address)
        number = client.request("/x")
        while not nodes.nodes[0].references:
            gevent.sleep(0.001)
        client.h2.reset_stream(number)
        client.flush()
        assert gone.wait(5)
    finally:
        backend.stop()


class Body(list[bytes]):
    """An answer whose end can be seen."""


def test_an_answer_that_nobody_takes_is_not_kept_when_its_client_is_gone(
    routed: Routed,
) -> None:
    bodies: list[weakref.ref[Body]] = []

    def application(environ: dict[str, Any], start_response: Any) -> Body:
        body = Body([b"x" * 100_000])
        bodies.append(weakref.ref(body))
        start_response("200 OK", [])
        return body

    made = routed(app=application, edge=SpecialEdge(speaks_http2=True))
    client = Client(made.address, initial_window_size=0)
    numbers = [client.request("/") for _ in range(3)]
    while len(client.heads) < len(numbers):
        assert client.read()
    client.h2.reset_stream(numbers[0])
    client.flush()
    gc.disable()
    try:
        with gevent.Timeout(5):
            while bodies[0]() is not None:
                gevent.sleep(0.001)
            client.socket.close()
            while any(body() is not None for body in bodies):
                gevent.sleep(0.001)
    finally:
        gc.enable()
