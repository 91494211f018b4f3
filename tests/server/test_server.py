"""The server's part of a worker over real sockets, both protocols."""

from __future__ import annotations

import socket
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace
from typing import Any
from wsgiref.validate import validator

import gevent
import gevent.event
import gevent.local
import gevent.select
import gevent.socket
import pytest
from greenlet import getcurrent

from geuwsgi.protocol.uwsgi import encode_packet, encode_vars
from geuwsgi.server.context import current_exchange
from geuwsgi.server.site import Limits
from geuwsgi.shared import scoreboard
from geuwsgi.worker.serve import Server

App = Callable[..., Any]
CRLF = b"\r\n"


class Instance:
    """A server in this process, with one HTTP and one uwsgi listener."""

    def __init__(self, app: App, cores: int = 100, **limits: Any) -> None:
        self.counters = memoryview(bytearray(8 * scoreboard.FIELDS)).cast("q")
        self._listening = [self._listen() for _ in range(2)]
        application = SimpleNamespace(number=0, call=app, requests=0)
        self.server = Server(
            listeners=[
                SimpleNamespace(  # type: ignore[misc]
                    socket=listening,
                    protocol=protocol,
                    server_port="80",
                    shares_port=False,
                )
                for listening, protocol in zip(
                    self._listening, ("http", "uwsgi"), strict=True
                )
            ],
            find_application=lambda environ: application,
            counters=self.counters,
            cores=cores,
            limits=lambda listener: Limits(**limits),
        )
        self.server.start()

    @staticmethod
    def _listen() -> socket.socket:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        listening.setblocking(False)
        return listening

    def connect(self, protocol: str = "http") -> gevent.socket.socket:
        address = self._listening[protocol == "uwsgi"].getsockname()
        return gevent.socket.create_connection(address, timeout=5)

    def ask(self, request: bytes) -> bytes:
        """Send ``request``, then read until the server closes."""
        with self.connect() as client:
            client.sendall(request)
            return read_all(client)

    def ask_uwsgi(self, variables: dict[str, str], body: bytes = b"") -> bytes:
        block = encode_vars({k.encode(): v.encode() for k, v in variables.items()})
        with self.connect("uwsgi") as client:
            client.sendall(encode_packet(0, block) + body)
            return read_all(client)

    def close(self) -> None:
        self.server.drain(reason="stop", deadline_s=0.0)
        for acceptor in self.server._acceptors:
            acceptor.pause()
        self.server._ticker.stop()
        self.server._ticker.close()
        for listening in self._listening:
            listening.close()


def read_all(client: gevent.socket.socket) -> bytes:
    received = b""
    while piece := client.recv(65536):
        received += piece
    return received


def read_response(client: gevent.socket.socket) -> tuple[bytes, bytes]:
    """Read one response with a Content-Length, or without a body."""
    received = b""
    while CRLF * 2 not in received:
        piece = client.recv(65536)
        assert piece, f"closed after {received!r}"
        received += piece
    head, _, body = received.partition(CRLF * 2)
    length = 0
    for line in head.split(CRLF):
        if line.lower().startswith(b"content-length:"):
            length = int(line[15:])
    while len(body) < length:
        body += client.recv(65536)
    assert len(body) == length
    return head, body


@contextmanager
def serving(app: App, **options: Any) -> Iterator[Instance]:
    instance = Instance(
        validator(app) if options.pop("validate", True) else app, **options
    )
    try:
        yield instance
    finally:
        instance.close()


def get(path: str = "/", *fields: str, version: str = "1.1") -> bytes:
    lines = [f"GET {path} HTTP/{version}", "Host: a", *fields]
    return "\r\n".join(lines).encode("latin-1") + CRLF * 2


def answer(start_response: Any, body: bytes) -> list[bytes]:
    # The validator's wrapper hides the length of a list.
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return answer(start_response, b"hello")


def bare(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 10**6))
    return answer(start_response, body)


def test_a_whole_body_goes_out_with_its_length() -> None:
    with serving(bare, validate=False) as instance, instance.connect() as client:
        client.sendall(get())
        head, body = read_response(client)
        assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
        assert b"Content-Length: 5" in head
        assert b"Date: " in head
        assert b"Connection:" not in head
        assert body == b"hello"


def test_connections_persist_and_requests_may_be_pipelined() -> None:
    with serving(hello) as instance, instance.connect() as client:
        for _ in range(5):
            client.sendall(get())
            assert read_response(client)[1] == b"hello"
        client.sendall(get() * 3 + get("/", "Connection: close"))
        received = read_all(client)
        assert received.count(b"HTTP/1.1 200 OK") == 4
        assert received.count(b"Connection: close") == 1
        assert instance.counters[scoreboard.REQUESTS] == 9


def test_repeated_fields_with_another_line_are_another_request() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        text = f"{environ['PATH_INFO']} {environ.get('HTTP_X')}"
        return answer(start_response, text.encode())

    with serving(app) as instance, instance.connect() as client:
        for path, value in [
            *(("/a", 1), ("/b", 1), ("/c", 1), ("/c", 1), ("/d", 1), ("/c", 2)),
            *(("/d", 2), ("/d", 2), ("/d", 2), ("/e", 2), ("/d", 2), ("/d", 1)),
        ]:
            client.sendall(get(path, f"X: {value}"))
            assert read_response(client)[1] == f"{path} {value}".encode()
        client.sendall(get("http://other/f", "X: 1"))
        assert read_response(client)[1] == b"/f 1"
        client.sendall(get("/g", "X: 1"))
        assert read_response(client)[1] == b"/g 1"
        client.sendall(get("/h", "X: 1", version="1.0"))
        assert b"Connection: close" in read_response(client)[0]


def test_a_request_in_every_split_of_its_bytes() -> None:
    request = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    with serving(echo) as instance, instance.connect() as client:
        for cut in range(1, len(request)):
            client.sendall(request[:cut])
            gevent.sleep(0)
            client.sendall(request[cut:])
            assert read_response(client)[1] == b"abc"
        for octet in request:
            client.sendall(bytes([octet]))
            gevent.sleep(0)
        assert read_response(client)[1] == b"abc"


def test_an_empty_line_before_a_request_is_skipped() -> None:
    with serving(hello) as instance, instance.connect() as client:
        client.sendall(CRLF + get())
        assert read_response(client)[1] == b"hello"


def test_an_http_1_0_client_gets_what_it_understands() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"one"
        yield b"two"

    with serving(app) as instance:
        received = instance.ask(get(version="1.0"))
        assert b"Transfer-Encoding" not in received
        assert b"Connection: close" in received
        assert received.endswith(b"\r\n\r\nonetwo")
    with serving(hello) as instance, instance.connect() as client:
        client.sendall(get("/", "Connection: keep-alive", version="1.0"))
        assert b"Connection: keep-alive" in read_response(client)[0]
        client.sendall(get("/", version="1.0"))
        assert b"Connection: close" in read_response(client)[0]
        assert client.recv(1) == b""


def test_a_body_of_unknown_length_is_chunked() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"one"
        yield b""
        yield b"seven77"

    with serving(app) as instance:
        received = instance.ask(get("/", "Connection: close"))
        assert b"Transfer-Encoding: chunked\r\n" in received
        assert received.endswith(b"\r\n\r\n3\r\none\r\n7\r\nseven77\r\n0\r\n\r\n")


def test_pieces_reach_the_client_before_the_next_is_made() -> None:
    go_on = gevent.event.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"first"
        go_on.wait()
        yield b"second"

    with serving(app) as instance, instance.connect() as client:
        client.sendall(get("/", "Connection: close"))
        received = b""
        while b"first" not in received:
            received += client.recv(1000)
        go_on.set()
        assert b"second" in read_all(client)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_some_statuses_have_no_body(status: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, [("Content-Length", "5")])
        return [b"wrong"]

    with serving(app, validate=False) as instance, instance.connect() as client:
        client.sendall(get())
        head, _, rest = client.recv(1000).partition(CRLF * 2)
        assert head.startswith(f"HTTP/1.1 {status}".encode())
        assert rest == b""
        assert (b"Content-Length" in head) == status.startswith("304")
        assert b"Transfer-Encoding" not in head
        client.sendall(get())
        assert client.recv(1000).startswith(b"HTTP/1.1")


def test_head_has_no_body_but_its_length() -> None:
    with serving(hello, validate=False) as instance, instance.connect() as client:
        for _ in range(2):
            client.sendall(get().replace(b"GET", b"HEAD"))
            head, _, rest = client.recv(1000).partition(CRLF * 2)
            assert b"Content-Length: 5" in head
            assert rest == b""


def test_a_chunked_request_reaches_the_application_whole() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert environ["wsgi.input_terminated"]
        assert "HTTP_TRANSFER_ENCODING" not in environ
        return answer(start_response, environ["wsgi.input"].read())

    request = (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: dropped\r\n\r\n"
    )
    with serving(app, validate=False) as instance, instance.connect() as client:
        for sent, expected in (
            (request, b"abcdefg"),
            (get(), b""),
            (request, b"abcdefg"),
        ):
            client.sendall(sent)
            assert read_response(client)[1] == expected
        client.sendall(request * 2 + get("/", "Connection: close"))
        assert read_all(client).count(b"\r\n\r\nabcdefg") == 2


def test_the_client_is_told_to_continue_when_the_body_is_wanted() -> None:
    with serving(echo) as instance, instance.connect() as client:
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert read_response(client)[1] == b"abc"
    with serving(hello) as instance:
        received = instance.ask(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert b"100 Continue" not in received
        assert received.endswith(b"hello")


def test_an_unread_body_does_not_become_the_next_request() -> None:
    with serving(hello) as instance, instance.connect() as client:
        for _ in range(3):
            smuggled = get("/smuggled")
            client.sendall(
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
                % (len(smuggled), smuggled)
            )
            assert read_response(client)[1] == b"hello"
        assert instance.counters[scoreboard.REQUESTS] == 3


def test_a_huge_unread_body_ends_the_connection_after_the_answer() -> None:
    with serving(hello, discard_bytes=1000) as instance, instance.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        client.sendall(b"x" * 65536)  # so much is waited for before the application
        assert read_response(client)[1] == b"hello"
        client.sendall(b"x" * 500)
        assert client.recv(1) == b""


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 3000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 400 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5001\r\n\r\n", 413),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    ],
)
def test_bad_requests_get_their_status_and_no_application(
    request_bytes: bytes, status: int
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise AssertionError("the application was called")

    with serving(app, validate=False, head_bytes=2000, body_bytes=5000) as instance:
        received = instance.ask(request_bytes + get("/leftover"))
        assert received.startswith(f"HTTP/1.1 {status} ".encode())
        assert received.count(b"HTTP/1.1") == 1
        assert b"Connection: close" in received
        assert b"Traceback" not in received


def test_a_bad_chunk_is_refused_while_the_application_reads() -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
    with serving(echo) as instance:
        assert instance.ask(request).startswith(b"HTTP/1.1 400 ")


def test_a_failing_application_is_a_500_that_tells_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise ValueError("secret detail")

    with serving(app, validate=False) as instance:
        received = instance.ask(get())
        assert received.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert b"secret" not in received
        assert instance.counters[scoreboard.EXCEPTIONS] == 1
        assert instance.ask(get()).startswith(b"HTTP/1.1 500")
    assert "secret detail" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, gevent.GreenletExit, RecursionError]
)
def test_whatever_the_application_raises_the_server_goes_on(
    error: type[BaseException],
) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/raise":
            raise error
        return hello(environ, start_response)

    with serving(app, validate=False) as instance:
        assert instance.ask(get("/raise")).startswith(b"HTTP/1.1 500")
        assert b"hello" in instance.ask(get("/", "Connection: close"))


def test_a_failure_after_the_head_cuts_the_answer() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"part"
        raise ValueError

    with serving(app, validate=False) as instance, instance.connect() as client:
        client.sendall(get())
        received = b""
        with suppress(ConnectionResetError):
            received = read_all(client)
        assert not received.endswith(b"0\r\n\r\n")


def test_the_iterable_is_closed_whatever_happens() -> None:
    closed: list[str] = []

    class Body:
        def __init__(self, name: str) -> None:
            self.name = name

        def __iter__(self) -> Iterator[bytes]:
            yield b"x"
            if self.name == "/raise":
                raise ValueError

        def close(self) -> None:
            closed.append(self.name)

    def app(environ: dict[str, Any], start_response: Any) -> Body:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body(environ["PATH_INFO"])

    with serving(app, validate=False) as instance:
        instance.ask(get("/fine", "Connection: close"))
        with instance.connect() as client:
            client.sendall(get("/raise"))
            with suppress(ConnectionResetError):
                read_all(client)
    assert closed == ["/fine", "/raise"]


def test_start_response_may_be_called_again_with_an_error() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise ValueError
        except ValueError:
            import sys

            start_response(
                "503 Sorry", [("Content-Type", "text/plain")], sys.exc_info()
            )
        return [b"sorry"]

    with serving(app) as instance:
        received = instance.ask(get("/", "Connection: close"))
        assert received.startswith(b"HTTP/1.1 503 Sorry")


def test_start_response_twice_is_an_error() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with serving(app, validate=False) as instance:
        assert instance.ask(get()).startswith(b"HTTP/1.1 500")


def test_the_write_callable() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"one ")
        write(b"two ")
        return [b"three"]

    with serving(app) as instance:
        received = instance.ask(get("/", "Connection: close"))
        assert received.endswith(b"4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n")


@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"abc", b"def"], [b"abcdefgh"]])
def test_a_body_longer_than_announced_is_cut_to_its_length(pieces: list[bytes]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "4")])
        return iter(pieces)

    with serving(app, validate=False) as instance, instance.connect() as client:
        for _ in range(2):
            client.sendall(get())
            assert read_response(client)[1] == b"abcd"


@pytest.mark.parametrize("whole", [True, False])
def test_a_body_shorter_than_announced_cuts_the_connection(whole: bool) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "10")])
        return [b"abc"] if whole else iter([b"abc"])

    with serving(app, validate=False) as instance, instance.connect() as client:
        client.sendall(get() + get())
        received = b""
        with suppress(ConnectionResetError):
            received = read_all(client)
        assert received.count(b"HTTP/1.1") <= 1


def test_what_is_not_bytes_is_an_error() -> None:
    for body in ([b"a", "b"], ["text"], "text", [1]):

        def app(environ: dict[str, Any], start_response: Any, body: Any = body) -> Any:
            start_response("200 OK", [])
            return body

        with serving(app, validate=False) as instance:
            assert instance.ask(get()).startswith(b"HTTP/1.1 500")


def test_a_long_poll_holds_nobody_up() -> None:
    news = gevent.event.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            news.wait()
        return hello(environ, start_response)

    with serving(app) as instance:
        waiting = [instance.connect() for _ in range(50)]
        for client in waiting:
            client.sendall(get("/wait"))
        assert b"hello" in instance.ask(get("/", "Connection: close"))
        assert instance.counters[scoreboard.CORES_BUSY] == 50
        news.set()
        for client in waiting:
            assert read_response(client)[1] == b"hello"
            client.close()
        assert instance.counters[scoreboard.CORES_BUSY] == 0


def test_no_more_requests_run_than_there_are_cores() -> None:
    go_on = gevent.event.Event()
    running = 0
    most = 0

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        go_on.wait(0.05)
        running -= 1
        return hello(environ, start_response)

    with serving(app, cores=3) as instance:
        clients = [instance.connect() for _ in range(12)]
        for client in clients:
            client.sendall(get())
        for client in clients:
            assert read_response(client)[1] == b"hello"
            client.close()
    assert most == 3


def test_an_idle_connection_holds_no_core() -> None:
    with serving(hello, cores=1) as instance:
        idle = [instance.connect() for _ in range(5)]
        for client in idle:
            client.sendall(get())
            assert read_response(client)[1] == b"hello"
        for client in idle:
            client.sendall(get())
            assert read_response(client)[1] == b"hello"
            client.close()


def test_a_request_past_its_deadline_is_ended_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    never = gevent.event.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            exchange = current_exchange()
            assert exchange is not None
            exchange.set_deadline(0.1)
            never.wait()
        if environ["PATH_INFO"] == "/patient":
            never.wait(1.0)
        return hello(environ, start_response)

    with serving(app) as instance, instance.connect() as patient:
        patient.sendall(get("/patient"))
        received = instance.ask(get("/slow"))
        assert received.startswith(b"HTTP/1.1 504 ")
        assert read_response(patient)[1] == b"hello"
        assert instance.counters[scoreboard.HARAKIRI_COUNT] == 1
    log = capsys.readouterr().err
    assert "HARAKIRI" in log
    assert "GET /slow" in log
    assert "never.wait()" in log


def test_a_slow_head_is_408_and_a_silent_peer_is_closed() -> None:
    with serving(hello, head_timeout=0.2, keepalive_timeout=0.2) as instance:
        with instance.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHo")
            assert read_all(client).startswith(b"HTTP/1.1 408 ")
        with instance.connect() as client:
            assert read_all(client) == b""
        with instance.connect() as client:
            client.sendall(get())
            read_response(client)
            assert client.recv(1) == b""


def test_a_reader_that_stops_is_cut_off() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x" * 20_000_000]

    with (
        serving(app, validate=False, write_timeout=0.3) as instance,
        instance.connect() as client,
    ):
        client.sendall(get())
        with gevent.Timeout(5):
            while not instance.counters[scoreboard.REQUESTS]:
                gevent.sleep(0.01)


def test_who_posts_slowly_holds_no_core() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
    with (
        serving(echo, cores=1) as instance,
        instance.connect() as slow,
        instance.connect() as other,
    ):
        slow.sendall(head + b"h")
        for _ in range(3):
            other.sendall(head + b"world")
            assert read_response(other)[1] == b"world"
        assert instance.counters[scoreboard.CORES_BUSY] == 0
        slow.sendall(b"ello" + get())
        assert read_response(slow)[1] == b"hello"
        assert read_response(slow)[1] == b""


def test_who_uploads_what_is_buffered_holds_no_core() -> None:
    seen: list[int] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ["uwsgi.core"])
        return answer(start_response, environ["wsgi.input"].read())

    def head(length: int) -> bytes:
        return (
            f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode()
        )

    sent = b"x" * 300_000
    with (
        serving(app, cores=1, validate=False, post_buffering=100) as instance,
        instance.connect() as slow,
        instance.connect() as other,
    ):
        slow.sendall(head(len(sent)) + sent[:-1])
        for _ in range(3):
            other.sendall(head(5) + b"world")
            assert read_response(other)[1] == b"world"
        slow.sendall(sent[-1:] + get())
        assert read_response(slow)[1] == sent
        assert read_response(slow)[1] == b""
        assert seen == [0] * 5
        assert instance.counters[scoreboard.CORES_BUSY] == 0


def test_a_small_body_has_one_deadline_for_all_of_it() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise AssertionError("the application was called")

    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n"
    with (
        serving(app, body_timeout=0.1, validate=False) as instance,
        instance.connect() as client,
    ):
        client.sendall(head)
        received = b""
        for _ in range(400):
            client.sendall(b"x")
            gevent.sleep(0.01)
            if gevent.select.select([client], [], [], 0)[0]:
                received = read_all(client)
                break
        assert received.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in received


def test_who_reads_a_whole_body_slowly_holds_no_core() -> None:
    size = 16_000_000

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * (size if environ["PATH_INFO"] == "/big" else 5)]

    with (
        serving(app, cores=1, validate=False) as instance,
        instance.connect() as slow,
        instance.connect() as other,
    ):
        slow.sendall(get("/big", "Connection: close"))
        for _ in range(3):
            other.sendall(get())
            assert read_response(other)[1] == b"xxxxx"
        received = bytearray()
        while piece := slow.recv(1 << 20):
            received += piece
        assert len(received.partition(CRLF * 2)[2]) == size


def test_a_client_that_leaves_gives_its_core_back() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        while True:
            yield b"x" * 100_000

    with serving(app, validate=False) as instance:
        with instance.connect() as client:
            client.sendall(get())
            client.recv(1000)
        with gevent.Timeout(5):
            while instance.counters[scoreboard.CORES_BUSY]:
                gevent.sleep(0.01)


def test_draining_answers_what_is_open_and_closes() -> None:
    go_on = gevent.event.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            go_on.wait()
        return hello(environ, start_response)

    with serving(app) as instance:
        busy, idle = instance.connect(), instance.connect()
        idle.sendall(get())
        read_response(idle)
        busy.sendall(get("/wait"))
        gevent.sleep(0.01)
        drained = gevent.spawn(instance.server.drain, reason="reload", deadline_s=10.0)
        gevent.sleep(0.01)
        idle.sendall(get())
        head, body = read_response(idle)
        assert body == b"hello"
        assert b"Connection: close" in head
        assert not drained.ready()
        go_on.set()
        head, body = read_response(busy)
        assert body == b"hello"
        assert b"Connection: close" in head
        assert drained.get(timeout=5) is True
        busy.close()
        idle.close()


def test_a_stream_is_not_ended_by_the_deadline_of_its_request() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        exchange = current_exchange()
        assert exchange is not None
        exchange.set_deadline(0.1)
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"first"
        gevent.sleep(0.6)
        yield b"last"

    with serving(app) as instance:
        assert instance.ask(get("/", version="1.0")).endswith(b"firstlast")


def test_an_application_can_wait_for_draining() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        exchange = current_exchange()
        assert exchange is not None
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"serving "
        assert exchange.site.drain_begins.wait(5)
        yield b"draining"

    with serving(app) as instance, instance.connect() as client:
        client.sendall(get("/", version="1.0"))
        gevent.sleep(0.01)
        draining = gevent.spawn(instance.server.drain, reason="stop", deadline_s=10.0)
        assert read_all(client).endswith(b"serving draining")
        assert draining.get(timeout=5) is True


def test_draining_ends_requests_at_its_deadline() -> None:
    never = gevent.event.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        never.wait()
        return []

    with serving(app, validate=False) as instance, instance.connect() as client:
        client.sendall(get())
        gevent.sleep(0.01)
        assert instance.server.drain(reason="stop", deadline_s=0.3) is False
        assert read_all(client).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("spawns", [False, True])
def test_what_a_request_keeps_locally_is_not_the_next_clients(spawns: bool) -> None:
    """threading.local is gevent's in a worker."""
    local = gevent.local.local()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen = getattr(local, "user", "nobody")
        local.user = environ["QUERY_STRING"]
        if spawns:
            gevent.spawn(gevent.sleep).join()
        length = str(len(seen))
        start_response(
            "200 OK", [("Content-Type", "text/plain"), ("Content-Length", length)]
        )
        return [seen.encode()]

    with serving(app) as instance:
        for number in range(5):
            answer = instance.ask(b"GET /?%d HTTP/1.0\r\n\r\n" % number)
            assert answer.endswith(b"nobody")
            answer = instance.ask_uwsgi({"QUERY_STRING": str(number)})
            assert answer.endswith(b"nobody")
        clients = [instance.connect() for _ in range(5)]
        for client in clients:
            client.sendall(b"GET /?together HTTP/1.1\r\nHost: x\r\n\r\n")
        for client in clients:
            assert read_response(client)[1] == b"nobody"
            client.close()


def test_a_greenlet_of_a_request_knows_its_request() -> None:
    seen: list[object] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        def grandchild() -> None:
            seen.append(current_exchange())

        def child() -> None:
            seen.append(current_exchange())
            gevent.spawn(grandchild).join()

        gevent.spawn(child).join()
        exchange = current_exchange()
        assert exchange is not None
        seen.append(exchange)
        return hello(environ, start_response)

    with serving(app) as instance:
        instance.ask(get("/", "Connection: close"))
    assert len(seen) == 3
    assert seen[0] is seen[1] is seen[2] is not None
    assert current_exchange() is None


def test_a_hijacked_connection_is_the_applications() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        exchange = current_exchange()
        assert exchange is not None
        stream = exchange.hijack()
        stream.send_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        received = exchange.received
        while len(received) < 4:
            received += stream.recv(10)
        stream.send_all(received.upper())
        start_response("200 OK", [])
        return [b"must not be written"]

    with serving(app, validate=False) as instance:
        received = instance.ask(get() + b"ping")
        assert received == b"HTTP/1.1 101 Switching Protocols\r\n\r\nPING"


def test_post_buffering_gives_a_body_that_can_be_read_again() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"]
        first = body.read()
        body.seek(0)
        assert body.read() == first
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['CONTENT_LENGTH']} {len(first)}".encode()]

    with serving(app, validate=False, post_buffering=100) as instance:
        received = instance.ask(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n" + b"c8\r\n" + b"x" * 200 + b"\r\n0\r\n\r\n"
        )
        assert received.endswith(b"200 200")


NGINX = {
    "QUERY_STRING": "x=1",
    "REQUEST_METHOD": "GET",
    "CONTENT_TYPE": "",
    "CONTENT_LENGTH": "",
    "REQUEST_URI": "/a%20b?x=1",
    "PATH_INFO": "/a b",
    "DOCUMENT_ROOT": "/srv",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "10.0.0.1",
    "REMOTE_PORT": "4711",
    "SERVER_PORT": "443",
    "SERVER_NAME": "example.org",
    "HTTPS": "on",
    "HTTP_HOST": "example.org",
}


def test_a_uwsgi_request_is_answered_in_http() -> None:
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        return hello(environ, start_response)

    with serving(app) as instance:
        received = instance.ask_uwsgi(NGINX)
        assert received == (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 5\r\n\r\nhello"
        )
    for key, value in NGINX.items():
        assert seen[key] == value
    assert seen["SCRIPT_NAME"] == ""
    assert seen["wsgi.url_scheme"] == "https"
    assert seen["uwsgi.version"] == b"2.0.31"
    assert isinstance(seen["uwsgi.node"], bytes)


def test_a_uwsgi_request_with_a_body() -> None:
    variables = {**NGINX, "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "11"}
    with serving(echo) as instance:
        assert instance.ask_uwsgi(variables, b"hello world").endswith(b"hello world")


def test_a_uwsgi_packet_in_every_split_of_its_bytes() -> None:
    block = encode_vars({b"PATH_INFO": b"/", b"CONTENT_LENGTH": b"2"})
    packet = encode_packet(0, block) + b"ok"
    with serving(echo, validate=False) as instance:
        for cut in range(1, len(packet)):
            with instance.connect("uwsgi") as client:
                client.sendall(packet[:cut])
                gevent.sleep(0)
                client.sendall(packet[cut:])
                assert read_all(client).endswith(b"\r\n\r\nok")


def test_variables_cannot_replace_the_servers_keys() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        assert environ["wsgi.input"] != "evil"
        assert "HTTP_PROXY" not in environ
        return hello(environ, start_response)

    with serving(app, validate=False) as instance:
        variables = {**NGINX, "wsgi.input": "evil", "HTTP_PROXY": "evil"}
        assert instance.ask_uwsgi(variables).endswith(b"hello")


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        (encode_packet(55, b""), b""),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 400 "),
        (encode_packet(0, b"\xff\xffA"), b"HTTP/1.1 400 "),
        (encode_packet(0, encode_vars({b"": b"x"})), b"HTTP/1.1 400 "),
        (encode_packet(0, encode_vars({b"CONTENT_LENGTH": b"-1"})), b"HTTP/1.1 400 "),
        (encode_packet(0, encode_vars({b"CONTENT_LENGTH": b"9x"})), b"HTTP/1.1 400 "),
        (encode_packet(0, encode_vars({b"CONTENT_LENGTH": b"501"})), b"HTTP/1.1 413 "),
        (encode_packet(0, b"x" * 3000), b"HTTP/1.1 431 "),
    ],
)
def test_bad_packets_are_refused(packet: bytes, answer: bytes) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise AssertionError("the application was called")

    with (
        serving(app, validate=False, head_bytes=2000, body_bytes=500) as instance,
        instance.connect("uwsgi") as client,
    ):
        client.sendall(packet)
        received = read_all(client)
        assert received.startswith(answer)
        assert bool(received) == bool(answer)


def test_greenlets_of_many_requests_that_end_at_once_are_given_up_soon() -> None:
    news = gevent.event.Event()
    greenlets: weakref.WeakSet[Any] = weakref.WeakSet()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        greenlets.add(getcurrent())
        news.wait()
        return answer(start_response, b"hello")

    with serving(app, validate=False) as instance, ExitStack() as clients:
        polls = [clients.enter_context(instance.connect()) for _ in range(60)]
        for poll in polls:
            poll.sendall(get())
        wait_until(lambda: instance.counters[scoreboard.CORES_BUSY] == 60)
        assert len(greenlets) == 60
        news.set()
        for poll in polls:
            assert read_response(poll)[1] == b"hello"
        wait_until(lambda: len(greenlets) < 60)


def wait_until(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(10):
        while not condition():
            gevent.sleep(0.005)
