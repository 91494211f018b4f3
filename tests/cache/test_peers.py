"""Caches of several servers, real uWSGI among them, that tell each other of changes."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from geuwsgi.cache.caches import Caches
from geuwsgi.cache.peers import ToldCache, apply_change
from geuwsgi.cache.remote import RemoteCache
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.protocol.cache_peers import decode_change
from geuwsgi.shared.arithmetic import Arithmetic
from geuwsgi.testing.client import free_port
from geuwsgi.testing.process import GEUWSGI, ServerProcess
from tests.cache.test_caches import Log

SIZES = "name=x,items=8,blocksize=64,keysize=32"


def reference() -> tuple[str, ...]:
    path = os.environ.get("GEUWSGI_REFERENCE_UWSGI")
    if not path:
        if os.environ.get("GEUWSGI_TEST_ALL"):
            pytest.fail("GEUWSGI_REFERENCE_UWSGI is missing")
        pytest.skip("GEUWSGI_REFERENCE_UWSGI, the path of a real uwsgi, is missing")
    return (path,)


def serve(
    directory: Path, address: str, cache: str, command: tuple[str, ...] = GEUWSGI
) -> ServerProcess:
    directory.mkdir()
    (directory / "site.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'x']\n"
    )
    arguments = ["--master", "--socket", address, "--wsgi-file", "site.py"]
    server = ServerProcess(
        [*arguments, "--gevent", "4", "--cache2", cache],
        directory=directory,
        command=command,
    )
    server.wait_until_ready(address)
    server.wait_for_log("spawned uWSGI worker 1", timeout=60)
    return server


def ask(address: str) -> RemoteCache:
    """The cache of a server, on a machine however busy."""
    return RemoteCache(address, "x", timeout_s=60)


def becomes(value: bytes | None, read: Callable[[], bytes | None]) -> None:
    ends = time.monotonic() + 60
    while read() != value:
        assert time.monotonic() < ends, read()
        time.sleep(0.01)


def tell_each_other(tmp_path: Path, first_command: tuple[str, ...]) -> None:
    one, two, one_udp, two_udp = (f"127.0.0.1:{free_port()}" for _ in range(4))
    line = f"{SIZES},nodes={two_udp},udp={one_udp}"
    with serve(tmp_path / "one", one, line, first_command):
        first = ask(one)
        assert first.set(b"early", b"EARLY")
        assert first.set(b"ends", b"ENDS", 500)
        line = f"{SIZES},nodes={one_udp},udp={two_udp},sync={one}"
        with serve(tmp_path / "two", two, line) as server:
            second = ask(two)
            server.wait_for_log('cache "x": 2 items from', timeout=60)
            assert sorted(second.keys()) == [b"early", b"ends"]
            assert second.get(b"early") == b"EARLY"
            server.wait_for_log("udp server for cache")
            assert first.set(b"new", b"NEW", 100)
            becomes(b"NEW", lambda: second.get(b"new"))
            assert second.update(b"new", b"NEWER")
            becomes(b"NEWER", lambda: first.get(b"new"))
            assert second.delete(b"new")
            becomes(None, lambda: first.get(b"new"))
            assert first.delete(b"ends")
            becomes(None, lambda: second.get(b"ends"))


def test_two_servers_tell_each_other_of_changes(tmp_path: Path) -> None:
    tell_each_other(tmp_path, GEUWSGI)


def test_uwsgi_and_geuwsgi_tell_each_other_of_changes(tmp_path: Path) -> None:
    tell_each_other(tmp_path, reference())


def test_uwsgi_takes_over_what_geuwsgi_has(tmp_path: Path) -> None:
    command = reference()
    one, two = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with serve(tmp_path / "one", one, SIZES):
        first = ask(one)
        for key in (b"a", b"b", b"c"):
            assert first.set(key, key * 10)
        with serve(tmp_path / "two", two, f"{SIZES},sync={one}", command):
            second = ask(two)
            assert [second.get(key) for key in (b"a", b"b", b"c", b"d")] == [
                b"a" * 10,
                b"b" * 10,
                b"c" * 10,
                None,
            ]
            assert second.delete(b"a")
            assert second.set(b"more", b"more")


def test_every_change_is_told_and_those_of_peers_are_not() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(10)
        node = f"127.0.0.1:{peer.getsockname()[1]}"
        log = Log()
        caches = Caches.create(
            [CacheSpec.parse(f"{SIZES},nodes={node};nowhere")], log=log
        )
        cache = caches.local()
        assert isinstance(cache, ToldCache)
        assert cache.set(b"a", b"1", 100)
        assert not cache.set(b"a", b"2")
        assert cache.change(b"n", Arithmetic.INC, 3)
        assert cache.delete(b"a")
        assert not cache.delete(b"a")
        changes = [decode_change(peer.recv(4096)) for _ in range(3)]
        assert [(one.key, one.value) for one in changes] == [
            (b"a", b"1"),
            (b"n", b"\3" + bytes(7)),
            (b"a", None),
        ]
        assert 90 < changes[0].expires - time.time() <= 100
        for change in changes[:2]:
            apply_change(cache, change)
        assert cache.get(b"a") == b"1"
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(4096)
        assert "nowhere" in str(log)
        caches.close()


def test_a_server_that_cannot_be_had_leaves_the_cache_empty() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        silent.close()
        log = Log()
        line = f"{SIZES},sync=127.0.0.1:{port};/nowhere.sock"
        caches = Caches.create([CacheSpec.parse(line)], log=log)
        cache = caches.local()
        assert cache is not None and cache.keys() == []
        caches.close()
        assert str(log).count("cannot sync from") == 2
