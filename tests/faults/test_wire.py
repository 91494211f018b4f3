"""Inputs that are almost right, sent to a running server in pieces.

The parsers are read against others in ``tests/fuzz``; here is what is around them: no
input ends a worker, leaves a connection behind or shows as a fault of the server's.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from geuwsgi.testing.client import connect, free_port, get
from geuwsgi.testing.process import ServerProcess
from tests.faults.conftest import start
from tests.fuzz import packets
from tests.fuzz.frames import client_frames
from tests.fuzz.requests import near_valid

INPUTS = int(os.environ.get("GEUWSGI_FUZZ_INPUTS", "4000")) // 80
SEED = int(os.environ.get("GEUWSGI_FUZZ_SEED", "1"))
#: Seconds that an answer is waited for: most inputs get one, or an end, at once.
PATIENCE = 0.02

_HANDSHAKE = (
    b"GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def _http(random: Random) -> bytes:
    return near_valid(random)


def _proxied(random: Random) -> bytes:
    return packets.proxy_header(random) + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def _uwsgi(random: Random) -> bytes:
    modifier1, modifier2 = random.choice(
        ((0, 0),) * 6 + ((111, 17), (173, 0), (110, 1))
    )
    block = packets.uwsgi_block(random)
    if modifier1 == 111 or random.random() < 0.3:
        modifier1 = 111
        modifier2, block = packets.cache_message(random)
    size = max(0, len(block) + random.choice((0,) * 9 + (1, -1)))
    return (
        bytes((modifier1,)) + size.to_bytes(2, "little") + bytes((modifier2,)) + block
    )


def _scgi(random: Random) -> bytes:
    return packets.scgi_request(random)


def _fastcgi(random: Random) -> bytes:
    head = bytes((1, 1, 0, 1, 0, 8, 0, 0, 0, 1, random.randrange(2), 0, 0, 0, 0, 0))
    pairs = packets.fastcgi_pairs(random)
    params = b"\1\4\0\1" + len(pairs).to_bytes(2, "big") + b"\0\0" + pairs
    ends = b"\1\4\0\1\0\0\0\0" + random.choice((b"\1\5\0\1\0\0\0\0", b""))
    if random.random() < 0.3:
        ends += packets.fastcgi_records(random)
    octets = head + params + ends if random.random() < 0.8 else b""
    return packets.damaged(random, octets) + packets.fastcgi_records(random)


def _websocket(random: Random) -> bytes:
    return _HANDSHAKE + client_frames(random)


KINDS: dict[str, Callable[[Random], bytes]] = {
    "http": _http,
    "proxied": _proxied,
    "uwsgi": _uwsgi,
    "scgi": _scgi,
    "fastcgi": _fastcgi,
    "websocket": _websocket,
}


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ServerProcess, dict[str, str]]]:
    directory = tmp_path_factory.mktemp("wire")
    source = Path(__file__).parent / "apps" / "mixed.py"
    (directory / "mixed.py").write_text(source.read_text())
    proxied, uwsgi = (f"127.0.0.1:{free_port()}" for _ in range(2))
    server, http = start(
        directory,
        f"processes = 1\ngevent = 50\nhttp = {proxied}\nsocket = {uwsgi}\n"
        "http-enable-proxy-protocol = true\nscgi-socket = scgi.sock\n"
        "fastcgi-socket = fastcgi.sock\ndisable-logging = true\n"
        "cache2 = name=default,items=100\nhttp-headers-timeout = 2\n",
        module="mixed:application",
    )
    with server:
        yield (
            server,
            {
                "http": http,
                "websocket": http,
                "proxied": proxied,
                "uwsgi": uwsgi,
                "scgi": str(directory / "scgi.sock"),
                "fastcgi": str(directory / "fastcgi.sock"),
            },
        )


def send(address: str, random: Random, octets: bytes) -> None:
    with connect(address) as peer, contextlib.suppress(OSError):
        if random.random() < 0.2:
            at = random.randrange(len(octets) + 1)
            peer.sendall(octets[:at])
            octets = octets[at:]
        peer.sendall(octets)
        if random.random() < 0.5:
            peer.shutdown(socket.SHUT_WR)
        if random.random() < 0.8:
            peer.settimeout(PATIENCE)
            while peer.recv(65536):
                pass


@pytest.mark.timeout(24 * 3600)
@pytest.mark.parametrize("kind", list(KINDS))
def test_no_input_is_a_fault_of_the_server(
    site: tuple[ServerProcess, dict[str, str]], kind: str
) -> None:
    server, addresses = site
    pid = get(addresses["http"], "/pid").text
    before = server.log.count("Traceback")
    random = Random(f"{SEED} {kind}")
    for number in range(INPUTS):
        octets = KINDS[kind](random)
        send(addresses[kind], random, octets)
        if number % 100 == 99 or number == INPUTS - 1:
            assert get(addresses["http"], "/pid").text == pid
            assert server.log.count("Traceback") == before, server.log[-4000:]
