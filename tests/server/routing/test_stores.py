"""Responses kept on memcached and Redis servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent.socket
import pytest
from gevent.server import StreamServer

from geuwsgi.errors import ConfigErrors

Routed = Callable[..., Any]
Kept = dict[bytes, bytes]


@contextmanager
def serving(answer: Callable[[Any], None]) -> Iterator[str]:
    def serve(client: gevent.socket.socket, address: object) -> None:
        with client, client.makefile("rwb") as file:
            answer(file)

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.stop()


def memcached(kept: Kept) -> Callable[[Any], None]:
    """As much of a memcached as rules need."""

    def answer(file: Any) -> None:
        words = file.readline().split()
        if words[0] == b"set":
            kept[words[1]] = file.read(int(words[4]))
            file.write(b"STORED\r\n")
        elif words[1] in kept:
            value = kept[words[1]]
            file.write(
                b"VALUE %b 0 %d\r\n%b\r\nEND\r\n" % (words[1], len(value), value)
            )
        else:
            file.write(b"END\r\n")
        file.flush()

    return answer


def redis(kept: Kept) -> Callable[[Any], None]:
    """As much of a Redis as rules need."""

    def answer(file: Any) -> None:
        words = []
        for _ in range(int(file.readline()[1:])):
            length = int(file.readline()[1:])
            words.append(file.read(length + 2)[:-2])
        if words[0] == b"SET":
            kept[words[1]] = words[2]
            file.write(b"+OK\r\n")
        elif words[1] in kept:
            value = kept[words[1]]
            file.write(b"$%d\r\n%b\r\n" % (len(value), value))
        else:
            file.write(b"$-1\r\n")
        file.flush()

    return answer


STORES = [("memcached", memcached), ("redis", redis)]


@pytest.mark.parametrize(("name", "store"), STORES)
def test_a_kept_response_is_the_answer(routed: Routed, name: str, store: Any) -> None:
    kept = {b"/here": b"kept " * 50_000}
    with serving(store(kept)) as address:
        site = routed(f"route-run = {name}:addr={address},key=${{PATH_INFO}}")
        answer = site.ask("/here")
        assert answer.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n")
        assert answer.endswith("\r\n\r\n" + "kept " * 50_000)
        assert "APP" in site.ask("/elsewhere")


@pytest.mark.parametrize(("name", "store"), STORES)
def test_a_response_is_kept(routed: Routed, name: str, store: Any) -> None:
    kept: Kept = {}
    with serving(store(kept)) as address:
        site = routed(f"route-run = {name}store:addr={address},key=k,expires=9")
        body = site.ask("/x").partition("\r\n\r\n")[2]
        with gevent.Timeout(5):
            while b"k" not in kept:
                gevent.sleep(0.002)
    assert kept == {b"k": body.encode()}


@pytest.mark.parametrize("name", ["memcached", "redis"])
def test_the_application_answers_if_the_store_is_gone(
    routed: Routed, name: str
) -> None:
    with serving(lambda file: file.read1(4096)) as address:
        site = routed(f"route-run = {name}:addr={address},key=k")
        assert "APP" in site.ask("/")
    assert "APP" in site.ask("/")
    assert f"{name}: the server closed before its answer was whole" in site.log[0]
    assert "cannot connect" in site.log[1]


def test_a_path_cannot_be_a_command_of_memcached(routed: Routed) -> None:
    kept: Kept = {}
    with serving(memcached(kept)) as address:
        site = routed(f"route-run = memcached:addr={address},key=${{PATH_INFO}}")
        assert "APP" in site.ask("/a%0D%0Aset%20x%200%200%201%0D%0Ay")
    assert not kept
    assert "not a key of memcached" in site.log[0]


@pytest.mark.parametrize(
    "rule", ["memcached:key=k", "redis:addr=127.0.0.1:1", "redisstore:addr=:x,key=k"]
)
def test_a_store_needs_an_address_and_a_key(routed: Routed, rule: str) -> None:
    with pytest.raises(ConfigErrors):
        routed(f"route-run = {rule}")
