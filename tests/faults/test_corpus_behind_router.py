"""The corpus of hostile requests, sent to an http router in front of others.

The router refuses what a server refuses, asks no backend for it, and what it does pass
on is one request for each of its own: a backend finds nothing behind it, whatever its
own reading of HTTP is.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from io import BufferedReader

import pytest

from geuwsgi.protocol.chunked import ChunkedDecoder
from geuwsgi.protocol.uwsgi import decode_header, decode_vars
from geuwsgi.testing.client import free_port, get
from geuwsgi.testing.process import ServerProcess
from tests.faults.test_corpus import answer_to, expected, files, statuses

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Recorder:
    """A backend that answers each connection once and keeps all that came.

    ``requests`` has the target of each request; ``surplus`` what stood behind one, or
    was no request.
    """

    def __init__(self, protocol: str) -> None:
        self.requests: list[str] = []
        self.surplus: list[bytes] = []
        self._protocol = protocol
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            client.settimeout(5)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as reader:
            try:
                if self._protocol == "http":
                    surplus = self._read_http(reader)
                else:
                    surplus = self._read_packet(reader)
                client.sendall(_ANSWER)
                surplus += reader.read()
            except (EOFError, ConnectionError):
                return  # the router gave the request up, and so do we
            if surplus:
                self.surplus.append(surplus)

    def _read_http(self, reader: BufferedReader) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                raise EOFError
            head += line
        fields = [line.split(b": ", 1) for line in head[:-4].split(b"\r\n")[1:]]
        names = [field[0].lower() for field in fields]
        self.requests.append(head.split(b" ")[1].decode("latin-1"))
        lengths = [value for name, value in fields if name.lower() == b"content-length"]
        codings = names.count(b"transfer-encoding")
        if len(lengths) + codings > 1 or b"\n" in head.replace(b"\r\n", b""):
            return head
        if lengths and len(reader.read(int(lengths[0]))) < int(lengths[0]):
            raise EOFError
        if not codings:
            return b""
        decoder = ChunkedDecoder()
        while not decoder.complete:
            octets = reader.read1(65536)
            if not octets:
                raise EOFError
            decoder.feed(octets)
        return decoder.leftover

    def _read_packet(self, reader: BufferedReader) -> bytes:
        header = reader.read(4)
        if len(header) < 4:
            raise EOFError
        variables: dict[str, object] = {}
        decode_vars(reader.read(decode_header(header)[1]), variables)
        self.requests.append(str(variables["PATH_INFO"]))
        length = int(str(variables.get("CONTENT_LENGTH") or 0))
        if len(reader.read(length)) < length:
            raise EOFError
        return b""

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)


@pytest.fixture(scope="module", params=["http", "uwsgi"])
def routed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Recorder, str]]:
    directory = tmp_path_factory.mktemp("router")
    backend = Recorder(request.param)
    address = f"127.0.0.1:{free_port()}"
    (directory / "router.ini").write_text(
        f"[uwsgi]\nmaster = true\nhttp = {address}\nhttp-to = {backend.address}\n"
        "buffer-size = 8192\nlimit-post = 2000\nhttp-quiet = true\n"
        f"http-backend-http = {'true' if request.param == 'http' else 'false'}\n"
    )
    with ServerProcess(["--ini", "router.ini"], directory=directory) as server:
        server.wait_until_ready(address)
        assert get(address, "/ready").status == 200
        yield backend, address
    backend.close()


Routed = tuple[Recorder, str]


def test_hostile_heads_never_reach_a_backend(routed: Routed) -> None:
    backend, address = routed
    backend.requests.clear()
    cargo = b"\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: s\r\n\r\n"
    wrong = {}
    for path in files("http1"):
        received = answer_to(address, path.read_bytes() + cargo)
        found = statuses(received, rb"HTTP/1\.1 (\d+) ")
        if found != expected(path) or b"Connection: close\r\n" not in received:
            wrong[path.stem] = received
    assert not wrong
    assert get(address, "/next").status == 200
    assert backend.requests == ["/next"]
    assert not backend.surplus


def test_nothing_hidden_is_passed_on(routed: Routed) -> None:
    backend, address = routed
    backend.requests.clear()
    wrong = {}
    for path in files("http1-connection"):
        received = answer_to(address, path.read_bytes())
        if statuses(received, rb"HTTP/1\.[01] (\d+) ") != expected(path):
            wrong[path.stem] = received
        assert get(address, "/next").status == 200
    assert not wrong
    assert "/smuggled" not in backend.requests
    assert not backend.surplus
