from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from geuwsgi.cache.caches import Caches
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.shared.mutex import yield_processor


class Log(list[str]):
    def __call__(self, line: str) -> None:
        self.append(line)


def specs(*texts: str) -> list[CacheSpec]:
    return [CacheSpec.parse(text) for text in texts]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def caches(log: Log) -> Iterator[Caches]:
    caches = Caches.create(
        specs("name=one,items=3,blocksize=64", "name=two,items=3,ignore_full=1"),
        log=log,
    )
    yield caches
    caches.close()


def test_the_first_cache_is_the_default_one(caches: Caches) -> None:
    first, second = caches
    assert caches.named() is caches.named("one") is first
    assert caches.local("two") is second
    assert caches.named("three") is None
    assert Caches(()).local() is None


def test_a_full_cache_is_told_once_a_second(caches: Caches, log: Log) -> None:
    one, two = caches
    for cache in (one, two):
        for number in range(9):
            cache.set(b"%d" % number, b"x")
    assert log == ['*** DANGER cache "one" is FULL !!! ***']
    assert [entry["full"] for entry in caches.statistics()] == [6, 6]


def test_another_process_maps_the_same_memory(caches: Caches) -> None:
    caches.local().set(b"key", b"value", 100)  # type: ignore[union-attr]
    wire = json.loads(json.dumps(caches.to_wire()))
    for entry, fd in zip(wire, caches.descriptors(), strict=True):
        entry["region"]["fd"] = os.dup(fd)
    other = Caches.from_wire(wire)
    other.enter_process(stripe=3, wait=yield_processor)
    assert [cache.spec for cache in other] == [cache.spec for cache in caches]
    assert other.local().get(b"key") == b"value"  # type: ignore[union-attr]
    other.local("two").update(b"a", b"b")  # type: ignore[union-attr]
    assert caches.local("two").get(b"a") == b"b"  # type: ignore[union-attr]
    other.close()
    assert caches.local().statistics()["hits"] == 1  # type: ignore[union-attr]


def test_a_reload_keeps_what_did_not_change(caches: Caches, log: Log) -> None:
    one, two = caches
    for cache in caches:
        cache.set(b"key", b"v" * 40)
        cache.set(b"b", b"v")
    changed = Caches.create(
        specs("name=two,items=9", "name=one,items=3,blocksize=64", "name=new,items=1"),
        previous=caches,
        log=log,
    )
    assert changed.named("one") is one
    assert changed.local("two") is not two
    assert sorted(changed.local("two").keys()) == [b"b", b"key"]  # type: ignore[union-attr]
    caches.release(changed)
    assert one.region.fd >= 0
    assert two.region.fd == -1
    for cache in list(changed)[::2]:
        cache.region.close()


def test_sweeping_frees_and_says_whether_more_is_due(caches: Caches) -> None:
    for cache in caches:
        cache.set(b"key", b"value", -1)
    assert caches.is_sweep_due()
    assert caches.sweep() == 2
    assert not caches.is_sweep_due()


def test_the_statistics_are_those_of_the_stats_server(caches: Caches) -> None:
    caches.local().set(b"a", b"b")  # type: ignore[union-attr]
    caches.local().get(b"a")  # type: ignore[union-attr]
    caches.local().get(b"b")  # type: ignore[union-attr]
    told = caches.statistics()[0]
    assert {key: told[key] for key in list(told)[:12]} == {
        "name": "one",
        "hash": "djb33x",
        "hashsize": 65536,
        "keysize": 2048,
        "max_items": 3,
        "blocks": 3,
        "blocksize": 64,
        "items": 1,
        "hits": 1,
        "miss": 1,
        "full": 0,
        "last_modified_at": 0,
    }


def test_a_long_list_of_keys_lets_others_run(log: Log) -> None:
    caches = Caches.create(specs("name=x,items=2000,blocksize=8,keysize=16"), log=log)
    cache = caches.local()
    assert cache is not None
    for number in range(2000):
        cache.set(b"%d" % number, b"v")
    turns: list[bool] = []

    def breathe() -> None:
        # Nobody has to wait for the lock meanwhile.
        turns.append(cache.delete(b"1999"))

    caches.enter_process(stripe=0, wait=lambda attempt: None, breathe=breathe)
    assert len(cache.keys()) == 1999
    assert len(turns) >= 7
    caches.close()
