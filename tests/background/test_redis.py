"""Locks and queue on a real server, which is stopped and started under load."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from geuwsgi.background.redislocks import RedisLock
from geuwsgi.background.redisqueue import RedisQueue
from geuwsgi.cache.redisclients import RedisClients
from geuwsgi.shared.queue import SharedQueue
from tests.background.eventually import eventually
from tests.cache.redisserver import RedisServer

pytest.importorskip("redis")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def make_lock(
    server: RedisServer, log: list[str] | None = None, lease_s: float = 10.0
) -> RedisLock:
    """A lock as another machine would have it: with connections of its own."""
    lines = [] if log is None else log
    return RedisLock(RedisClients(server.url), 0, log=lines.append, lease_s=lease_s)


def test_one_has_the_lock_at_a_time(server: RedisServer) -> None:
    locks = [make_lock(server) for _ in range(3)]
    inside = 0
    most = 0

    def work(lock: RedisLock) -> None:
        nonlocal inside, most
        for _ in range(5):
            with lock.held():
                inside += 1
                most = max(most, inside)
                gevent.sleep(0.001)
                inside -= 1

    workers = [gevent.spawn(work, lock) for lock in locks for _ in range(2)]
    gevent.joinall(workers, raise_error=True)
    assert most == 1
    assert not locks[0].is_taken()


def test_who_waits_gives_up_in_time_and_gets_it_when_it_is_free(
    server: RedisServer,
) -> None:
    mine, theirs = make_lock(server), make_lock(server)
    assert mine.acquire()
    assert theirs.is_taken() and mine.is_taken()
    assert not theirs.acquire(timeout_s=0.03)
    with pytest.raises(TimeoutError), theirs.held(timeout_s=0.01):
        pass
    with pytest.raises(RuntimeError, match="already"):
        mine.acquire()
    waiting = gevent.spawn(theirs.acquire)
    gevent.sleep(0.01)
    assert mine.release() and not mine.release()
    assert waiting.get(timeout=10)
    assert theirs.release()


def test_a_lock_is_renewed_while_it_is_held_and_ends_with_its_holder(
    server: RedisServer,
) -> None:
    mine, theirs = make_lock(server, lease_s=2.0), make_lock(server)
    assert mine.acquire()
    client = RedisClients(server.url).make(timeout_s=5)
    left = client.pttl("geuwsgi:lock:0")

    def is_renewed() -> bool:
        nonlocal left
        before, left = left, client.pttl("geuwsgi:lock:0")
        return bool(left > before)

    eventually(is_renewed)
    assert not theirs.acquire(timeout_s=0)
    # The machine dies: nobody renews.
    assert mine._renewing is not None
    mine._renewing.kill()
    assert theirs.acquire(timeout_s=20)
    log: list[str] = []
    mine._log = log.append
    assert mine.release()
    assert log == ["lock 0 was lost before it was given back"]
    assert theirs.is_taken() and theirs.release()


def test_nobody_gets_a_lock_without_the_server(server: RedisServer) -> None:
    log: list[str] = []
    lock = make_lock(server, log, lease_s=0.3)
    assert lock.acquire()
    server.stop()
    eventually(lambda: any("is lost" in line for line in log))
    assert lock.release()
    assert lock.is_taken()
    assert not lock.acquire(timeout_s=0.05)
    waiting = gevent.spawn(lock.acquire)
    gevent.sleep(0.05)
    server.start()
    assert waiting.get(timeout=20)
    assert lock.release()


def make_queue(server: RedisServer, log: list[str] | None = None) -> RedisQueue:
    lines = [] if log is None else log
    return RedisQueue(server.url, size=5, blocksize=32, log=lines.append)


def test_the_queue_does_what_a_local_one_does(server: RedisServer) -> None:
    there = make_queue(server)
    here = SharedQueue.create(5, 32)
    generator = random.Random(4)
    for step in range(400):
        message = b"%d" % step
        what = generator.randrange(7)
        slot = generator.randrange(-1, 6)
        if what < 2:
            assert there.push(message) == here.push(message)
        elif what == 2:
            assert there.pull() == here.pull()
        elif what == 3:
            assert there.pop() == here.pop()
        elif what == 4:
            assert there.get(slot) == here.get(slot)
        elif what == 5 and step % 3 == 0:
            assert there.set(slot, message) == here.set(slot, message)
        else:
            assert there.last(slot) == here.last(slot)
        assert there.write_slot == here.write_slot
        assert there.read_slot == here.read_slot
    for text in (b"", b"x" * 17):
        assert not there.push(text)
    assert there.push(b"x" * 16)
    here.close()


def test_a_server_that_comes_back_loses_no_message_twice(server: RedisServer) -> None:
    log: list[str] = []
    queue = make_queue(server, log)
    done: list[bool] = []
    ends = False

    def load() -> None:
        while not ends:
            done.append(queue.push(b"message"))
            gevent.sleep(0.001)

    loads = [gevent.spawn(load) for _ in range(4)]
    eventually(lambda: done.count(True) > 20)
    server.stop()
    eventually(lambda: False in done)
    assert queue.pull() is None
    assert queue.last(2) == [None, None]
    server.start()
    already = done.count(True)
    eventually(lambda: done.count(True) > already + 20)
    ends = True
    gevent.joinall(loads, raise_error=True)
    assert queue.pull() == b"message"
    assert 0 < len(log) < 20
