from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from geuwsgi.api.cache import cache_functions
from geuwsgi.cache.backend import CacheBackend
from geuwsgi.cache.caches import Caches
from geuwsgi.cache.rediscache import RedisCache
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.errors import ConfigError
from geuwsgi.shared.arithmetic import Arithmetic
from tests.cache.redisserver import RedisServer
from tests.cache.test_caches import Log

pytest.importorskip("redis")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def cache(server: RedisServer, log: Log) -> Iterator[RedisCache]:
    cache = make(server, log)
    yield cache
    cache.clear()


def make(server: RedisServer, log: Log, more: str = "") -> RedisCache:
    text = f"name=mine,backend={server.url},timeout=0.3{more}"
    return RedisCache(CacheSpec.parse(text), log)


def test_it_does_what_a_local_cache_does(cache: RedisCache, log: Log) -> None:
    backend: CacheBackend = cache
    value = bytes(range(256)) * 1000
    assert backend.set(b"key", value)
    assert not backend.set(b"key", b"other")
    assert backend.get(b"key") == value
    assert backend.update(b"key", b"short")
    assert backend.get(b"key") == b"short"
    assert backend.exists(b"key") and not backend.exists(b"missing")
    assert backend.get(b"missing") is None
    for key, empty in ((b"", b"value"), (b"key", b"")):
        assert not backend.update(key, empty)
    assert backend.change(b"n", Arithmetic.INC, 5)
    assert backend.change(b"n", Arithmetic.DEC, 12)
    assert backend.change(b"n", Arithmetic.MUL, 3)
    assert backend.change(b"n", Arithmetic.DIV, 2)
    assert backend.number(b"n") == -10
    assert backend.get(b"n") == b"-10"
    assert sorted(backend.keys()) == [b"key", b"n"]
    assert backend.delete(b"key") and not backend.delete(b"key")
    assert backend.clear()
    assert backend.keys() == []
    assert log == []


def test_numbers_are_kept_to_the_last_bit(cache: RedisCache, log: Log) -> None:
    cache.change(b"n", Arithmetic.INC, (1 << 62) + 1)
    cache.change(b"n", Arithmetic.MUL, 1)
    assert cache.number(b"n") == (1 << 62) + 1
    assert not cache.change(b"n", Arithmetic.INC, 1 << 62)
    assert "overflow" in log[0]
    cache.update(b"eight", (7).to_bytes(8, "little"))
    assert cache.number(b"eight") == 7
    cache.update(b"text", b"hello")
    assert cache.number(b"text") == 0


def test_items_have_an_end(cache: RedisCache) -> None:
    cache.update(b"a", b"x", 1)
    cache.change(b"n", Arithmetic.INC, 1, 1)
    cache.change(b"m", Arithmetic.MUL, 2, 1)
    cache.change(b"n", Arithmetic.INC, 1, 100)
    cache.update(b"b", b"x", -1)
    assert not cache.exists(b"b")
    assert cache.exists(b"a") and cache.number(b"n") == 2
    gevent.sleep(1.1)
    assert cache.keys() == []


def test_a_number_begins_with_math_initial(server: RedisServer, log: Log) -> None:
    cache = make(server, log, ",math_initial=7")
    cache.change(b"n", Arithmetic.INC, 1)
    cache.change(b"m", Arithmetic.MUL, 2)
    assert (cache.number(b"n"), cache.number(b"m")) == (8, 14)
    cache.clear()


def test_names_keep_caches_apart(server: RedisServer, log: Log) -> None:
    texts = [f"name={name},backend={server.url}" for name in ("a", "a*", "b")]
    one, other, last = (RedisCache(CacheSpec.parse(text), log) for text in texts)
    for cache in (one, other, last):
        cache.update(b"key", cache.spec.name.encode())
    assert other.keys() == [b"key"]
    other.clear()
    assert one.get(b"key") == b"a" and last.get(b"key") == b"b"
    one.clear()
    last.clear()


def test_additions_of_many_greenlets_are_all_counted(cache: RedisCache) -> None:
    def add() -> None:
        for _ in range(20):
            assert cache.change(b"n", Arithmetic.INC, 1)
            assert cache.change(b"m", Arithmetic.MUL, 1)

    gevent.joinall([gevent.spawn(add) for _ in range(20)], raise_error=True)
    assert cache.number(b"n") == 400


def test_a_local_layer_answers_for_a_moment(server: RedisServer, log: Log) -> None:
    cache = make(server, log, ",local_ttl=0.2")
    other = make(server, log)
    cache.update(b"key", b"old")
    assert cache.get(b"key") == b"old"
    other.update(b"key", b"new")
    assert cache.get(b"key") == b"old"
    gevent.sleep(0.25)
    assert cache.get(b"key") == b"new"
    cache.update(b"key", b"mine")
    assert cache.get(b"key") == b"mine"
    cache.clear()


def test_a_server_that_is_started_anew_is_found_again(tmp_path: Path, log: Log) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        cache = make(server, log)

        def fill() -> None:
            assert cache.update(b"key", b"value")

        gevent.joinall([gevent.spawn(fill) for _ in range(5)], raise_error=True)
        # Started anew between two commands: nobody notices.
        server.stop()
        server.start()
        assert cache.update(b"key", b"value")
        assert cache.get(b"key") == b"value"
        # Away for a while: the cache looks empty, fast, and comes back by itself.
        server.stop()
        began = time.monotonic()
        for _ in range(50):
            assert cache.get(b"key") is None
            assert not cache.update(b"key", b"value")
        assert time.monotonic() - began < 3
        assert 1 <= len(log) <= 4
        assert 'cache "mine": redis://' in log[0]
        server.start()
        gevent.sleep(0.6)
        assert cache.update(b"key", b"again")
        assert cache.get(b"key") == b"again"
    finally:
        server.stop()


_PATIENCE = """
from gevent import monkey
monkey.patch_all()
import sys, time, gevent
from geuwsgi.cache.rediscache import RedisCache
from geuwsgi.cache.spec import CacheSpec

cache = RedisCache(CacheSpec.parse(sys.argv[1]), print)
assert cache.update(b"key", b"value")
print("paused?", flush=True)
sys.stdin.readline()
longest, last = 0.0, time.monotonic()

def beat():
    global longest, last
    while True:
        gevent.sleep(0.001)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()

beating = gevent.spawn(beat)
began = time.monotonic()
assert cache.get(b"key") is None
print(time.monotonic() - began, longest, flush=True)
sys.stdin.readline()
gevent.sleep(0.6)
print(cache.get(b"key"), flush=True)
"""


def test_a_server_that_hangs_stops_nobody_else(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    worker = subprocess.Popen(
        [sys.executable, "-c", _PATIENCE, f"name=x,backend={server.url},timeout=0.3"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None and worker.stdout is not None
    try:
        assert worker.stdout.readline() == "paused?\n"
        server.pause()
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert 'cache "x"' in worker.stdout.readline()
        waited, longest = map(float, worker.stdout.readline().split())
        assert 0.25 < waited < 10
        assert longest < waited / 2
        server.go_on()
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "b'value'\n"
    finally:
        worker.kill()
        worker.wait()
        worker.stdin.close()
        worker.stdout.close()
        server.stop()


def test_a_forked_process_has_connections_of_its_own(
    server: RedisServer, cache: RedisCache
) -> None:
    cache.update(b"key", b"parent")
    pid = os.fork()
    if not pid:
        gevent.get_hub().destroy(destroy_loop=True)
        ok = cache.get(b"key") == b"parent" and cache.update(b"key", b"child")
        os._exit(not ok)
    assert os.waitpid(pid, 0)[1] == 0
    assert cache.get(b"key") == b"child"


def test_it_is_a_cache_like_others(server: RedisServer, log: Log) -> None:
    texts = (f"name=far,backend={server.url}", "name=near,items=10")
    caches = Caches.create([CacheSpec.parse(text) for text in texts], log=log)
    again = Caches.from_wire(
        [entry for entry in caches.to_wire() if not entry["region"]]
    )
    api = {f.__name__: f for f in cache_functions(caches)}
    assert api["cache_update"]("key", "value") is True
    assert api["cache_get"]("key") == b"value"
    assert api["cache_get"]("key", "far") == b"value"
    assert api["cache_get"]("key", "near") is None
    assert api["cache_keys"]("far") == [b"key"]
    far = again.named("far")
    assert far is not None and far.get(b"key") == b"value"
    api["cache_clear"]("far")
    caches.close()


def test_other_backends_are_refused() -> None:
    for text in ("name=x,backend=memcached://x", "name=x,backend=redis"):
        with pytest.raises(ConfigError, match="there is no backend"):
            CacheSpec.parse(text)
