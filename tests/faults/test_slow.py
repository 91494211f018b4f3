"""Slow peers and many of them; a normal request hardly notices."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, connect, free_port, get
from geuwsgi.testing.process import ServerProcess
from tests.faults.conftest import start

#: Each of these peers, this many times at once.
PEERS = 200

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BIG = b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ServerProcess, str]]:
    """One worker with few cores: who holds one without need is noticed."""
    apps = tmp_path_factory.mktemp("slow")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    (apps / "plain.py").write_text(
        "def application(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/pieces':\n"
        "        start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "        return (bytes(100_000) for _ in range(100))\n"
        "    body = environ['wsgi.input'].read()\n"
        "    if environ['PATH_INFO'] == '/big':\n"
        "        body = b'x' * 12000000\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [body]\n"
    )
    server, address = start(
        apps,
        "processes = 1\ngevent = 4\nlisten = 1024\ndisable-logging = true\n"
        "slow-readers-memory = 20\n",
        module="plain:application",
    )
    try:
        with server:
            yield server, address
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def worker_of(server: ServerProcess) -> int:
    return int(server.wait_for_log(r"spawned uWSGI worker 1 \(pid: (\d+)")[-1][1])


def resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def open_sockets(pid: int) -> int:
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            count += link.readlink().name.startswith("socket:")
    return count


def descriptors_of(pid: int) -> list[Path]:
    # All of them are links; those that are closed meanwhile are none.
    return [link for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]


def median_of_requests(address: str, count: int = 40) -> float:
    """Seconds that a request on a connection of its own takes."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        assert get(address).status == 200
        times.append(time.perf_counter() - began)
    return statistics.median(times)


PIECES = BIG.replace(b"/big", b"/pieces")
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
CASES = {
    "half a head": b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
    "one byte": b"G",
    "nothing": b"",
    "a head and a part of its body": HEAD + b"x" * 10,
    "a head and a part of a long body": HEAD.replace(b"1000", b"10000000") + b"x" * 10,
    "70 KB of a long body": HEAD.replace(b"1000", b"10000000") + bytes(70_000),
    "a head and a small chunk": CHUNKED + b"1\r\nx\r\n",
    "a request whose answer nobody reads": BIG,
    "a request whose answer in pieces nobody reads": PIECES,
    "many requests whose answers nobody reads": GET * 2000,
}


@pytest.mark.parametrize("case", list(CASES))
def test_slow_peers_hold_nobody_up(
    served: tuple[ServerProcess, str], case: str
) -> None:
    server, address = served
    pid = worker_of(server)
    median_of_requests(address)
    before, memory = open_sockets(pid), resident_kib(pid)
    # Two cases are work for the application, 12 MB each or 2000 requests: fewer.
    count = {BIG: 6, PIECES: 30, GET * 2000: 20}.get(CASES[case], PEERS)
    peers = [connect(address) for _ in range(count)]
    for peer in peers:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            peer.send(CASES[case])
    assert median_of_requests(address) < 0.1
    for peer in peers:
        peer.close()
    server.wait_for(lambda: open_sockets(pid) <= before, "has closed the connections")
    assert median_of_requests(address) < 0.1
    assert resident_kib(pid) - memory < 40_000


def make_certificate(directory: Path) -> str:
    """Write a certificate and its key; return them as options name them."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return f"{cert},{key}"


def test_what_slow_readers_have_not_taken_is_in_files_and_arrives_whole(
    tmp_path: Path,
) -> None:
    (tmp_path / "plain.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [bytes(range(250)) * 48000]\n"
    )
    secure = f"127.0.0.1:{free_port()}"
    server, address = start(
        tmp_path,
        "processes = 1\ngevent = 4\nslow-readers-memory = 0\n"
        f"https-socket = {secure},{make_certificate(tmp_path)}\n",
        module="plain:application",
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with server, contextlib.ExitStack() as opened:
        pid = worker_of(server)
        get(address)
        before = resident_kib(pid)
        before_them = len(descriptors_of(pid))
        peers = []
        for number in range(6):
            peer = opened.enter_context(connect(secure if number % 2 else address))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            if number % 2:
                peer = opened.enter_context(context.wrap_socket(peer))
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            peers.append(peer)

        def files() -> int:
            links = [str(link.readlink()) for link in descriptors_of(pid)]
            return sum(
                link.endswith(" (deleted)") and not link.startswith("/memfd:")
                for link in links
            )

        server.wait_for(lambda: files() == len(peers), "has a file for each")
        server.wait_for(
            lambda: resident_kib(pid) - before < 30_000, "has forgotten the answers"
        )
        for peer in peers:
            received = bytearray()
            while piece := peer.recv(1 << 20):
                received += piece
            head, _, body = received.partition(b"\r\n\r\n")
            assert b" 200 OK" in head
            assert body == bytes(range(250)) * 48000
        server.wait_for(
            lambda: len(descriptors_of(pid)) <= before_them,
            "has closed the files",
        )
        assert "Traceback" not in server.log


def test_peers_that_reset_or_half_close_leave_nothing(
    served: tuple[ServerProcess, str],
) -> None:
    server, address = served
    pid = worker_of(server)
    get(address)
    before = open_sockets(pid)
    for number in range(300):
        with connect(address) as peer:
            peer.sendall((GET, HEAD, BIG, GET[:10])[number % 4])
            if number % 3:
                peer.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )
            else:
                peer.shutdown(socket.SHUT_WR)
    server.wait_for(lambda: open_sockets(pid) <= before, "has closed the connections")
    assert median_of_requests(address) < 0.1
    assert "Traceback" not in server.log


def test_a_half_closed_peer_still_gets_its_answer(
    served: tuple[ServerProcess, str],
) -> None:
    _, address = served
    with Client(address) as client:
        client.send(GET)
        client.send_eof()
        assert client.read_response().status == 200


def test_connections_have_limits_in_all_and_of_one_address(apps: Path) -> None:
    server, address = start(
        apps,
        "processes = 1\ngevent = 10\nmax-connections = 8\n"
        "max-connections-per-address = 4\n",
    )
    with server, contextlib.ExitStack() as open_ones:
        pid = worker_of(server)
        before = open_sockets(pid)
        clients = [open_ones.enter_context(Client(address)) for _ in range(4)]
        for client in clients:
            client.send(GET)
            assert client.read_response().status == 200
        for _ in range(2):
            with Client(address) as refused:
                refused.send(GET)
                response = refused.read_response()
                assert response.status == 429
                assert response.header("Retry-After") == "1"
                assert refused.is_closed()
        server.wait_for_log(r"127\.0\.0\.1 has 4 connections, the most")
        clients[0].close()
        server.wait_for(lambda: open_sockets(pid) < before + 4, "has room again")
        assert get(address).status == 200
