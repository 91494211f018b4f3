from __future__ import annotations

from collections.abc import Iterator

import pytest

from geuwsgi.api.cache import cache_functions
from geuwsgi.cache.caches import Caches
from geuwsgi.cache.command import main
from geuwsgi.cache.remote import RemoteCache
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.shared.arithmetic import Arithmetic
from tests.background.servers import packet_server
from tests.cache.test_caches import Log


@pytest.fixture
def caches() -> Iterator[Caches]:
    texts = ("name=one,items=10,blocksize=100000", "name=two,items=2,blocksize=10")
    caches = Caches.create([CacheSpec.parse(text) for text in texts], log=Log())
    yield caches
    caches.close()


@pytest.fixture
def address(caches: Caches) -> Iterator[str]:
    with packet_server(caches=caches) as address:
        yield address


def test_a_remote_cache_does_what_a_local_one_does(
    caches: Caches, address: str
) -> None:
    cache = RemoteCache(address)
    value = bytes(range(256)) * 390
    assert cache.set(b"key", value)
    assert not cache.set(b"key", b"other")
    assert cache.get(b"key") == value
    assert cache.update(b"key", b"short", 100)
    assert cache.get(b"key") == b"short"
    assert cache.exists(b"key")
    assert not cache.exists(b"missing")
    assert cache.get(b"missing") is None
    assert cache.change(b"n", Arithmetic.INC, 5)
    assert cache.change(b"n", Arithmetic.MUL, -3)
    assert cache.number(b"n") == -15
    assert cache.number(b"missing") == 0
    assert sorted(cache.keys()) == [b"key", b"n"]
    assert cache.delete(b"key")
    assert not cache.delete(b"key")
    assert cache.clear()
    assert cache.keys() == []
    local = caches.local()
    assert local is not None and local.keys() == []


def test_a_named_cache_is_that_one(caches: Caches, address: str) -> None:
    assert RemoteCache(address, "two").set(b"a", b"b")
    two = caches.local("two")
    assert two is not None and two.get(b"a") == b"b"
    assert not RemoteCache(address, "two").set(b"b", b"x" * 11)
    assert not RemoteCache(address, "three").set(b"a", b"b")


def test_the_functions_take_the_address_with_the_name(address: str) -> None:
    api = {f.__name__: f for f in cache_functions(Caches(()))}
    assert api["cache_update"]("a", "b", 0, f"two@{address}") is True
    assert api["cache_get"]("a", f"two@{address}") == b"b"
    assert api["cache_get"]("a", f"@{address}") is None
    assert api["cache_exists"]("a", f"two@{address}") is True


def test_a_server_that_is_not_there_makes_an_empty_cache() -> None:
    log = Log()
    cache = RemoteCache("127.0.0.1:1", "x", log=log)
    assert cache.get(b"a") is None
    assert not cache.set(b"a", b"b")
    assert cache.keys() == []
    assert cache.number(b"a") == 0
    (line,) = log
    assert line.startswith("cache x@127.0.0.1:1: ")


def test_the_command_gets_and_sets(
    address: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main([address, "set", "key", "value"]) == 0
    assert main([address, "set", "key", "again"]) == 1
    assert main([f"two@{address}", "update", "k", "v", "--expires", "9"]) == 0
    assert main([address, "inc", "n"]) == 0
    assert main([address, "mul", "n", "21"]) == 0
    capfdbinary.readouterr()
    assert main([address, "get", "key"]) == 0
    assert main([address, "get", "missing"]) == 1
    assert main([address, "num", "n"]) == 0
    assert main([address, "keys"]) == 0
    assert main([address, "--cache", "two", "keys"]) == 0
    assert main([address, "exists", "missing"]) == 1
    assert main([address, "del", "key"]) == 0
    assert main([address, "clear"]) == 0
    assert main([address, "keys"]) == 0
    assert capfdbinary.readouterr().out.split() == [
        b"value",
        b"21",
        b"key",
        b"n",
        b"k",
    ]


def test_the_command_says_what_it_cannot_reach(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["127.0.0.1:1", "get", "key"]) == 2
    assert "127.0.0.1:1" in capfd.readouterr().err
