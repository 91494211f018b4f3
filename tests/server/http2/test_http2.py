"""HTTP/2 over real sockets, with h2 as the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import gevent.socket
import pytest

h2_connection = pytest.importorskip("h2.connection")

import h2.config  # noqa: E402
import h2.connection  # noqa: E402
import h2.errors  # noqa: E402
import h2.events  # noqa: E402
import h2.settings  # noqa: E402

from geuwsgi.server.specialedges import SpecialEdge  # noqa: E402

Routed = Callable[..., Any]


def app(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise RuntimeError("broken")
    if path == "/short":
        start_response("200 OK", [("Content-Length", "10")])
        return [b"abc"]
    if path == "/none":
        start_response("204 No Content", [])
        return []
    if path == "/big":
        start_response("200 OK", [])
        return [b"x" * 1_000_000]
    if path == "/pieces":
        start_response("200 OK", [("X-Own", "v")])
        return iter([b"a", b"", b"b"])
    if path == "/unread":
        start_response("200 OK", [])
        return [b"not read"]
    if path == "/wait":
        gevent.sleep(0.01)
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "x")])
    shown = (environ["REQUEST_METHOD"], environ["SERVER_PROTOCOL"], path)
    return [" ".join(shown).encode() + b" %d" % len(body)]


class Client:
    """An HTTP/2 client that keeps what happened on each stream."""

    def __init__(self, address: tuple[str, int], **settings: int) -> None:
        self.socket = gevent.socket.create_connection(address, timeout=5)
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="latin-1")
        )
        self.h2.initiate_connection()
        if settings:
            self.h2.update_settings(
                {
                    h2.settings.SettingCodes[name.upper()]: value
                    for name, value in settings.items()
                }
            )
        self.heads: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.goodbye: int | None = None
        self.acknowledges = True
        self.flush()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def request(
        self, path: str, *fields: tuple[str, str], method: str = "GET", end: bool = True
    ) -> int:
        number: int = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":authority", "a.test")]
        self.h2.send_headers(number, [*head, (":path", path), *fields], end_stream=end)
        self.flush()
        return number

    def read(self) -> bool:
        """Take what comes next; False at the end of the connection."""
        received = self.socket.recv(65536)
        if not received:
            return False
        for event in self.h2.receive_data(received):
            number = getattr(event, "stream_id", 0)
            if isinstance(event, h2.events.ResponseReceived):
                self.heads[number] = dict(event.headers)  # type: ignore[arg-type]
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[number] = self.bodies.get(number, b"") + event.data
                if self.acknowledges:
                    self.h2.acknowledge_received_data(
                        event.flow_controlled_length, number
                    )
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(number)
            elif isinstance(event, h2.events.StreamReset):
                self.resets[number] = int(event.error_code or 0)
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goodbye = int(event.error_code or 0)
        self.flush()
        return True

    def wait_for(self, *numbers: int) -> None:
        while not all(
            number in self.ended or number in self.resets for number in numbers
        ):
            assert self.read(), "the connection ended"

    def get(self, path: str, *fields: tuple[str, str]) -> tuple[str, bytes]:
        number = self.request(path, *fields)
        self.wait_for(number)
        return self.heads[number][":status"], self.bodies.get(number, b"")


@pytest.fixture
def site(routed: Routed) -> Any:
    return routed(app=app, edge=SpecialEdge(speaks_http2=True))


@pytest.fixture
def client(site: Any) -> Iterator[Client]:
    made = Client(site.address)
    yield made
    made.socket.close()


def test_requests_are_answered(client: Client, site: Any) -> None:
    assert client.get("/a%20b?c") == ("200", b"GET HTTP/2.0 /a b 0")
    assert client.get("/none") == ("204", b"")
    assert client.get("/pieces") == ("200", b"ab")
    head = client.heads[5]
    assert head["x-own"] == "v"
    assert "date" in head
    assert "connection" not in client.heads[1]
    assert site.logged[0].protocol == "HTTP/2.0"


def test_http1_is_still_spoken_on_the_same_listener(site: Any) -> None:
    assert "GET HTTP/1.1 /x 0" in site.ask("/x")


def test_bodies_are_read_beyond_every_window(client: Client) -> None:
    number = client.request("/post", method="POST", end=False)
    left = 600_000
    while left:
        room = min(
            left,
            client.h2.local_flow_control_window(number),
            client.h2.max_outbound_frame_size,
        )
        if room:
            client.h2.send_data(number, b"x" * room)
            left -= room
            client.flush()
        else:
            assert client.read()
    client.h2.end_stream(number)
    client.flush()
    client.wait_for(number)
    assert client.bodies[number] == b"POST HTTP/2.0 /post 600000"


def test_large_responses_wait_for_the_windows(client: Client) -> None:
    client.acknowledges = False
    number = client.request("/big")
    while len(client.bodies.get(number, b"")) < 65535:
        assert client.read()
    assert number not in client.ended
    client.h2.increment_flow_control_window(2_000_000)
    client.h2.increment_flow_control_window(2_000_000, number)
    client.flush()
    client.wait_for(number)
    assert len(client.bodies[number]) == 1_000_000


def test_many_requests_run_at_once(client: Client, site: Any) -> None:
    numbers = [client.request("/wait") for _ in range(30)]
    client.wait_for(*numbers)
    assert {client.heads[number][":status"] for number in numbers} == {"200"}
    assert site.server.site.cores.busy == 0


def test_head_has_no_body(client: Client) -> None:
    number = client.request("/x", method="HEAD")
    client.wait_for(number)
    assert client.heads[number]["content-length"] == "18"
    assert client.bodies.get(number, b"") == b""


def test_errors_are_500_and_short_answers_are_reset(client: Client) -> None:
    assert client.get("/fail")[0] == "500"
    number = client.request("/short")
    client.wait_for(number)
    assert client.resets[number] == h2.errors.ErrorCodes.INTERNAL_ERROR
    assert client.get("/x")[0] == "200"


def test_a_body_nobody_reads_is_called_off(client: Client) -> None:
    number = client.request("/unread", method="POST", end=False)
    client.wait_for(number)
    while number not in client.resets:
        assert client.read()
    assert client.bodies[number] == b"not read"
    assert client.resets[number] == h2.errors.ErrorCodes.NO_ERROR
    assert client.get("/x")[0] == "200"


def test_a_reset_stream_harms_nobody(client: Client, site: Any) -> None:
    number = client.request("/wait")
    client.h2.reset_stream(number)
    client.flush()
    assert client.get("/x")[0] == "200"
    client.socket.close()
    while site.server.site.connections:
        gevent.sleep(0.001)
    assert site.server.site.cores.busy == 0


def test_resetting_without_end_ends_the_connection(client: Client) -> None:
    with pytest.raises((AssertionError, OSError)):
        for _ in range(2000):
            number = client.request("/wait")
            client.h2.reset_stream(number)
            client.flush()
            if number % 50 == 1:
                gevent.sleep(0)
        while client.read():
            pass
        raise AssertionError
    assert client.goodbye in (None, h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)


def test_bad_requests_are_refused(client: Client, site: Any) -> None:
    assert client.get("/%zz")[0] == "400"
    assert client.get("/x", ("content-length", "0"))[0] == "200"


def test_what_is_no_http2_ends_the_connection(site: Any) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for rubbish in (b"\xff" * 100, b"\0\0\0\0" * 20, b"GET / HTTP/1.1\r\n\r\n"):
        site.ask_raw(preface + rubbish)
    assert "HTTP/2.0" in Client(site.address).get("/x")[1].decode()


def test_draining_says_goodbye_after_the_last_answer(client: Client, site: Any) -> None:
    number = client.request("/wait")
    gevent.sleep(0.001)
    site.server.site.draining = True
    client.wait_for(number)
    assert client.heads[number][":status"] == "200"
    while client.read():
        pass
    assert client.goodbye == h2.errors.ErrorCodes.NO_ERROR
