"""More than there is room for: connections, descriptors, requests, patience."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, free_port, get
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.process import GEUWSGI, ServerProcess

Serve = Callable[..., tuple[ServerProcess, str]]


@pytest.fixture
def serve(geuwsgi_server: StartServer, site_directory: Path) -> Serve:
    def serve(more: str, *, descriptors: int = 0) -> tuple[ServerProcess, str]:
        address = f"127.0.0.1:{free_port()}"
        (site_directory / "site.ini").write_text(
            f"[uwsgi]\nhttp = {address}\nmaster = true\nmodule = pages:bare\n{more}"
        )
        command: Sequence[str] = GEUWSGI
        if descriptors:
            limited = f'ulimit -n {descriptors}; exec "$@"'
            command = ("/bin/sh", "-c", limited, "sh", *GEUWSGI)
        server = geuwsgi_server(
            "--ini", "site.ini", directory=site_directory, command=command
        )
        server.wait_for_log("spawned uWSGI worker 1")
        return server, address

    return serve


WAIT = b"GET /wait?condition HTTP/1.1\r\nHost: a\r\n\r\n"


def wait_for_waiting(server: ServerProcess, address: str, count: int) -> None:
    server.wait_for(
        lambda: int(get(address, "/waiting").text) == count, f"has {count} waiting"
    )


def test_a_thousand_polls_are_held_and_answered_by_one_event(serve: Serve) -> None:
    server, address = serve("gevent = 1010\nlisten = 1024\ndisable-logging = true\n")
    clients = [Client(address, timeout=30) for _ in range(1000)]
    for client in clients:
        client.send(WAIT)
    wait_for_waiting(server, address, 1000)
    assert get(address).body == b"hello"
    start = time.monotonic()
    get(address, "/wake?condition")
    for client in clients:
        assert client.read_response().body == b"True"
        client.close()
    assert time.monotonic() - start < 5
    wait_for_waiting(server, address, 0)


def test_requests_beyond_the_cores_wait_and_are_served(serve: Serve) -> None:
    _, address = serve("gevent = 3\n")
    get(address)
    start = time.monotonic()
    sleepers = [Client(address) for _ in range(6)]
    for client in sleepers:
        client.send(b"GET /wait?sleep HTTP/1.1\r\nHost: a\r\n\r\n")
    for client in sleepers:
        assert client.read_response().body == b"'slept'"
        client.close()
    # Each sleeps 0.3 seconds, and three of six may do so at once.
    assert time.monotonic() - start > 0.55


def test_an_idle_connection_holds_no_core(serve: Serve) -> None:
    _, address = serve("gevent = 2\n")
    idle = [Client(address) for _ in range(20)]
    for client in idle:
        assert client.request("/").body == b"hello"
    assert get(address).body == b"hello"
    for client in idle:
        assert client.request("/").body == b"hello"
        client.close()


def test_half_sent_requests_hold_no_core(serve: Serve) -> None:
    _, address = serve("gevent = 2\n")
    slow = [Client(address) for _ in range(50)]
    for client in slow:
        client.send(b"GET / HTTP/1.1\r\nHost:")
    for _ in range(5):
        assert get(address).body == b"hello"
    for client in slow:
        client.send(b" a\r\n\r\n")
    for client in slow:
        assert client.read_response().body == b"hello"
        client.close()


def test_a_server_out_of_descriptors_recovers(serve: Serve) -> None:
    server, address = serve("gevent = 200\n", descriptors=80)
    clients = []
    for _ in range(150):
        client = Client(address, timeout=10)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        clients.append(client)
    assert clients[0].read_response().body == b"hello"
    for client in clients:
        client.close()
    server.wait_for(lambda: answers(address), "answers again", timeout=20)
    for _ in range(20):
        assert get(address).body == b"hello"
    assert server.is_running()
    assert len(server.log) < 1_000_000


def answers(address: str) -> bool:
    try:
        return get(address, timeout=2).status == 200
    except (OSError, TimeoutError):
        return False


def test_a_request_that_takes_too_long_is_ended_and_its_siblings_are_not(
    serve: Serve,
) -> None:
    server, address = serve("gevent = 20\nharakiri = 2\n")
    pid = get(address, "/pid").body
    with Client(address) as slow:
        slow.send(WAIT)
        wait_for_waiting(server, address, 1)
        with Client(address) as sibling:
            time.sleep(1)
            sibling.send(b"GET /wait?sleep HTTP/1.1\r\nHost: a\r\n\r\n")
            response = slow.read_response()
            assert response.status == 504
            assert sibling.read_response().body == b"'slept'"
    assert get(address, "/pid").body == pid
    server.wait_for_log("HARAKIRI")


def test_a_body_larger_than_allowed_is_answered_with_413(serve: Serve) -> None:
    _, address = serve("gevent = 20\nlimit-post = 1000\n")
    with Client(address) as client:
        answer = client.request("/echo", method="POST", body=b"x" * 1000)
        assert answer.body == b"x" * 1000
        answer = client.request("/echo", method="POST", body=b"x" * 1001)
        assert answer.status == 413
    with Client(address) as client:
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"400\r\n%b\r\n0\r\n\r\n" % (b"x" * 0x400)
        )
        assert client.read_response().status == 413
