"""Requests that wait: none of them keeps another one from being served."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from geuwsgi.testing.client import Client, get
from geuwsgi.testing.packet import encode_packet, web_server_vars

if TYPE_CHECKING:
    from tests.e2e.conftest import Site

WAITS = ["gevent", "threading", "thread", "queue", "condition"]


def wait_for_waiting(site: Site, count: int) -> None:
    site.server.wait_for(
        lambda: int(get(site.http, "/waiting").text) == count, f"has {count} waiting"
    )


@pytest.mark.parametrize("kind", WAITS)
def test_a_waiting_request_blocks_no_other(site: Site, kind: str) -> None:
    with Client(site.http) as waiting:
        waiting.send(f"GET /wait?{kind} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_for_waiting(site, 1)
        assert get(site.http_socket, "/").body == b"hello"
        assert get(site.http, f"/wake?{kind}").body == b"woken"
        response = waiting.read_response()
    assert response.body in (b"True", b"'item'")
    wait_for_waiting(site, 0)


def test_requests_sleep_side_by_side(site: Site) -> None:
    clients = [Client(site.http) for _ in range(20)]
    start = time.monotonic()
    for client in clients:
        client.send(b"GET /wait?sleep HTTP/1.1\r\nHost: a\r\n\r\n")
    for client in clients:
        assert client.read_response().body == b"'slept'"
        client.close()
    # One after the other they would take 6 seconds.
    assert time.monotonic() - start < 3


def test_polls_on_every_kind_of_listener_are_woken_by_one_event(site: Site) -> None:
    get(site.http, "/")
    clients = [Client(address) for address in site.http_addresses for _ in range(10)]
    for client in clients:
        client.send(b"GET /wait?condition HTTP/1.1\r\nHost: a\r\n\r\n")
    for address in (site.uwsgi, site.uwsgi_unix):
        packet = Client(address)
        packet.send(encode_packet(web_server_vars("/wait?condition")))
        clients.append(packet)
    wait_for_waiting(site, len(clients))
    get(site.http, "/wake?condition")
    for client in clients:
        assert client.read_response().body == b"True"
        client.close()


def test_a_poller_that_leaves_is_noticed_when_it_is_answered(site: Site) -> None:
    with Client(site.http) as leaving:
        leaving.send(b"GET /wait?condition HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for_waiting(site, 1)
    get(site.http, "/wake?condition")
    wait_for_waiting(site, 0)
    assert get(site.http, "/").body == b"hello"
    assert "BrokenPipeError" not in site.server.log
    assert "ConnectionResetError" not in site.server.log
