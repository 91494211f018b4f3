"""The corpus of hostile requests, sent to a running server.

A file's name ends with what is answered: the statuses in order; ``closed``: nothing,
and the connection ends. A file that begins with ``cut`` ends there. After each, the
connection is closed, nothing hidden in the bytes was run, and the next client is
served.
"""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from geuwsgi.testing.client import connect, free_port, get
from geuwsgi.testing.process import ServerProcess
from tests.faults.conftest import APPS, start

CORPUS = Path(__file__).parent.parent / "corpus"


@dataclass(frozen=True)
class Target:
    server: ServerProcess
    http: str
    uwsgi: str
    scgi: str
    fastcgi: str
    proxy: str

    def counts(self) -> tuple[int, int]:
        """How often the application was called for the attack, and for its cargo."""
        called, smuggled = get(self.http, "/counts").text.split()
        return int(called), int(smuggled)


@pytest.fixture(scope="module", params=["application", "swallowing"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    directory = Path(shutil.copytree(APPS, tmp_path_factory.mktemp("corpus") / "site"))
    uwsgi, proxy = (f"127.0.0.1:{free_port()}" for _ in range(2))
    server, http = start(
        directory,
        f"gevent = 10\nbuffer-size = 8192\nlimit-post = 2000\nsocket = {uwsgi}\n"
        "scgi-socket = scgi.sock\nfastcgi-socket = fastcgi.sock\n"
        f"http = {proxy}\nhttp-enable-proxy-protocol = true\n"
        "disable-logging = true\n",
        module=f"counting:{request.param}",
    )
    try:
        yield Target(
            server,
            http,
            uwsgi,
            str(directory / "scgi.sock"),
            str(directory / "fastcgi.sock"),
            proxy,
        )
    finally:
        server.kill()


def answer_to(address: str, octets: bytes, *, cut: bool = False) -> bytes:
    """Send ``octets``, return what comes until the server closes."""
    with connect(address, timeout=5) as client:
        client.sendall(octets)
        if cut:
            client.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while piece := client.recv(65536):
                received += piece
        except ConnectionResetError:
            assert not received, "a reset ate the end of the answer"
        return received


def statuses(received: bytes, pattern: bytes) -> str:
    return "-".join(found.decode() for found in re.findall(pattern, received))


def files(folder: str) -> list[Path]:
    found = sorted((CORPUS / folder).iterdir())
    assert len(found) >= 10
    return found


def expected(path: Path) -> str:
    return path.stem.rpartition(".")[2]


@pytest.mark.parametrize("path", files("http1"), ids=lambda path: path.stem)
def test_hostile_heads_never_reach_the_application(target: Target, path: Path) -> None:
    before = target.counts()
    cargo = b"\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: s\r\n\r\n"
    received = answer_to(target.http, path.read_bytes() + cargo)
    assert statuses(received, rb"HTTP/1\.1 (\d+) ") == expected(path), received
    assert b"Connection: close\r\n" in received
    assert target.counts() == before


@pytest.mark.parametrize("path", files("http1-connection"), ids=lambda path: path.stem)
def test_connections_that_hide_a_request(target: Target, path: Path) -> None:
    _, before = target.counts()
    received = answer_to(target.http, path.read_bytes())
    found = statuses(received, rb"HTTP/1\.[01] (\d+) ")
    wanted = expected(path)
    if found != wanted:
        # This application says 200 whatever it finds the body to be.
        assert path.stem.startswith("chunk"), received
        assert b"RemoteProtocolError" in received
    if "200" not in found or found.count("-"):
        assert received.count(b"\r\nConnection: close\r\n") == 1, received
    assert target.counts()[1] == before, "the hidden request was run"


def packets() -> list[tuple[str, Path]]:
    return [
        (protocol, path)
        for protocol in ("uwsgi", "scgi", "fastcgi", "proxy")
        for path in files(protocol)
    ]


@pytest.mark.parametrize(
    ("protocol", "path"), packets(), ids=lambda value: getattr(value, "stem", value)
)
def test_hostile_packets_never_reach_the_application(
    target: Target, protocol: str, path: Path
) -> None:
    before = target.counts()
    wanted = expected(path)
    address: str = getattr(target, protocol)
    received = answer_to(address, path.read_bytes(), cut=path.stem.startswith("cut"))
    found = statuses(received, rb"(?:HTTP/1\.1|Status:) (\d+) ")
    assert found == (wanted if wanted.isdigit() else ""), received
    assert target.counts() == before


@pytest.mark.parametrize(
    "path", files("fastcgi-connection"), ids=lambda path: path.stem
)
def test_fastcgi_connections_that_hide_a_request(target: Target, path: Path) -> None:
    _, before = target.counts()
    received = answer_to(target.fastcgi, path.read_bytes(), cut=True)
    found, wanted = statuses(received, rb"Status: (\d+) "), expected(path)
    if found != (wanted if wanted.isdigit() else ""):
        # This application says 200 whatever it finds the body to be.
        assert b"RemoteProtocolError" in received or b"InputError" in received
    assert target.counts()[1] == before, "the hidden request was run"


def foreign() -> dict[str, bytes]:
    """What each protocol begins with, by the name it has in the log."""
    return {
        "an HTTP request": b"GET /called HTTP/1.1\r\nHost: a\r\n\r\n",
        "an HTTP/2 connection": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        "a TLS handshake": b"\x16\x03\x01\x00\x20\x01" + bytes(31),
        "a PROXY header": b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
        "a FastCGI record": b"\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0",
        "an SCGI request": (CORPUS / "scgi" / "no-comma.400.bin").read_bytes(),
        "a uwsgi packet": (CORPUS / "uwsgi" / "empty-key.400.bin").read_bytes(),
        "an SSH connection": b"SSH-2.0-OpenSSH_9.9\r\n",
    }


@pytest.mark.parametrize(
    ("protocol", "socket_name", "own"),
    [
        ("uwsgi", "a uwsgi socket", "a uwsgi packet"),
        ("scgi", "an SCGI socket", "an SCGI request"),
        ("fastcgi", "a FastCGI socket", "a FastCGI record"),
    ],
)
def test_what_comes_to_the_wrong_socket_is_named_in_the_log(
    target: Target, protocol: str, socket_name: str, own: str
) -> None:
    before = target.counts()
    for name, octets in foreign().items():
        if name == own:
            continue
        answer_to(getattr(target, protocol), octets)
        if protocol == "uwsgi" and name == "an HTTP/2 connection":
            name = "an HTTP request"
        target.server.wait_for_log(f"{name} came to {socket_name}")
    assert target.counts() == before


def test_http_on_a_uwsgi_socket_is_told_in_the_log(target: Target) -> None:
    received = answer_to(target.uwsgi, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"an HTTP request came to a uwsgi socket" in received
    target.server.wait_for_log("bad request from .*: an HTTP request came to a uwsgi")
