"""Small crowds of slow peers of each kind, on each kind of socket."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator

import pytest

from geuwsgi.testing.client import free_port
from geuwsgi.testing.process import ServerProcess
from tests.faults.slowpeers import KINDS, Crowd, ask
from tests.faults.slowtable import workers_of
from tests.faults.test_slow import make_certificate, open_sockets

#: More than there are cores.
PEERS = 10
#: The protocol of each socket.
SOCKETS = {
    "http-socket": "http",
    "https-socket": "https",
    "http2": "http2",
    "socket": "uwsgi",
    "fastcgi-socket": "fastcgi",
    "scgi-socket": "scgi",
    "router": "http",
}
SITE = """\
def application(environ, start_response):
    environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'x' * 3_000_000 if environ['PATH_INFO'] == '/big' else b'ok']
"""


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[list[ServerProcess], dict[str, str]]]:
    """One worker that listens on all of them, and a router before it."""
    pytest.importorskip("h2")
    directory = tmp_path_factory.mktemp("site")
    router = tmp_path_factory.mktemp("router")
    addresses = {name: f"127.0.0.1:{free_port()}" for name in SOCKETS}
    addresses["http2"] = addresses["http-socket"]
    (directory / "site_.py").write_text(SITE)
    (directory / "files").mkdir()
    (directory / "files" / "big.bin").write_bytes(bytes(3_000_000))
    (directory / "site.ini").write_text(
        "[uwsgi]\nmaster = true\ngevent = 4\nmodule = site_:application\n"
        "listen = 1024\nslow-readers-memory = 4\nstatic-map = /files=files\n"
        "disable-logging = true\nhttp2 = true\n"
        f"https-socket = {addresses['https-socket']},{make_certificate(directory)}\n"
        + "".join(
            f"{name} = {address}\n"
            for name, address in addresses.items()
            if name not in ("https-socket", "http2", "router")
        )
    )
    (router / "site.ini").write_text(
        "[uwsgi]\nmaster = true\ndisable-logging = true\n"
        f"http = {addresses['router']}\nhttp-to = {addresses['socket']}\n"
    )
    with contextlib.ExitStack() as opened:
        servers = [
            opened.enter_context(ServerProcess(["--ini", "site.ini"], directory=where))
            for where in (directory, router)
        ]
        for server in servers:
            server.wait_for_log("spawned uWSGI (worker|router) 1", timeout=40)
        yield servers, addresses


@pytest.mark.parametrize("name", list(SOCKETS))
def test_crowds_hold_nobody_up(
    served: tuple[list[ServerProcess], dict[str, str]], name: str
) -> None:
    servers, addresses = served
    protocol, address = SOCKETS[name], addresses[name]
    pids = workers_of(servers)
    ask(protocol, address)
    before = [open_sockets(pid) for pid in pids]
    crowds = [Crowd(kind, protocol, address, PEERS) for kind in KINDS]
    times = []
    for _ in range(3):
        for crowd in crowds:
            # Who comes and goes does it for as long as he may.
            crowd.turn(0.02 if crowd.comes_and_goes else 10)
            began = time.perf_counter()
            ask(protocol, address)
            times.append(time.perf_counter() - began)
    assert statistics.median(times) < 0.1
    for crowd in crowds:
        assert crowd.counted["came"]
        assert not crowd.counted["refused"]
        crowd.go()
    servers[0].wait_for(
        lambda: all(
            open_sockets(pid) <= n for pid, n in zip(pids, before, strict=True)
        ),
        "has closed the connections",
    )
    ask(protocol, address)
    assert not any("Traceback" in server.log for server in servers)
