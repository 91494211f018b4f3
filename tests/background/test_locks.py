from __future__ import annotations

import os
import signal
import time

import gevent
import pytest

from geuwsgi.background.locks import CommonLock
from geuwsgi.shared.recordlocks import RecordLocks


@pytest.fixture
def records() -> RecordLocks:
    return RecordLocks.create("test", 3)


def hold_in_child(records: RecordLocks, number: int, *, shared: bool = False) -> int:
    """Fork a process that holds a lock until it is killed; return its pid."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        assert records.try_acquire(number, shared=shared)
        os.write(write, b"x")
        signal.pause()
    assert os.read(read, 1) == b"x"
    os.close(read)
    os.close(write)
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_greenlets_take_their_turns_in_order(records: RecordLocks) -> None:
    lock = CommonLock(records, 0)
    order = []

    def work(number: int) -> None:
        with lock.held():
            order.append(number)
            gevent.sleep(0.001)
            order.append(number)

    gevent.joinall([gevent.spawn(work, number) for number in range(5)], timeout=20)
    assert order == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert not lock.is_taken()


def test_the_hub_runs_while_a_greenlet_waits(records: RecordLocks) -> None:
    pid = hold_in_child(records, 0)
    lock = CommonLock(records, 0)
    waiting = gevent.spawn(lock.acquire, timeout_s=60)
    longest = 0.0
    for _ in range(50):
        before = time.monotonic()
        gevent.sleep(0.001)
        longest = max(longest, time.monotonic() - before)
    assert not waiting.ready()
    assert longest < 2
    kill(pid)
    assert waiting.get(timeout=20) is True
    lock.release()


def test_the_death_of_the_holder_gives_the_lock_back(records: RecordLocks) -> None:
    pid = hold_in_child(records, 1)
    lock = CommonLock(records, 1)
    assert lock.is_taken()
    assert not CommonLock(records, 0).is_taken()
    assert lock.acquire(timeout_s=0.01) is False
    kill(pid)
    assert not lock.is_taken()
    assert lock.acquire(timeout_s=20) is True


def test_two_processes_exclude_each_other(records: RecordLocks) -> None:
    lock = CommonLock(records, 0)
    counter = memoryview(records._region.memory).cast("q")
    children = []
    for _ in range(2):
        pid = os.fork()
        if not pid:
            gevent.get_hub().destroy(destroy_loop=True)
            for _ in range(100):
                with lock.held():
                    value = counter[2]
                    gevent.sleep(0)
                    counter[2] = value + 1
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert counter[2] == 200


def test_a_timeout_leaves_the_queue_as_it_was(records: RecordLocks) -> None:
    lock = CommonLock(records, 0)
    lock.acquire()
    losers = [gevent.spawn(lock.acquire, timeout_s=0.005) for _ in range(3)]
    assert [loser.get(timeout=20) for loser in losers] == [False] * 3
    winner = gevent.spawn(lock.acquire)
    gevent.sleep(0)
    lock.release()
    assert winner.get(timeout=20) is True


def test_a_killed_waiting_greenlet_leaves_the_queue(records: RecordLocks) -> None:
    lock = CommonLock(records, 0)
    lock.acquire()
    waiting = gevent.spawn(lock.acquire)
    gevent.sleep(0)
    waiting.kill()
    lock.release()
    assert gevent.spawn(lock.acquire).get(timeout=20) is True


def test_readers_of_two_processes_share(records: RecordLocks) -> None:
    pid = hold_in_child(records, 0, shared=True)
    lock = CommonLock(records, 0)
    assert lock.acquire(shared=True, timeout_s=20)
    lock.release()
    assert not lock.acquire(timeout_s=0.01)
    kill(pid)
    assert lock.acquire(timeout_s=20)


def test_giving_back_what_nobody_has_does_nothing(records: RecordLocks) -> None:
    assert CommonLock(records, 0).release() is False


def test_locks_are_found_again_in_another_process(records: RecordLocks) -> None:
    wire = records.to_wire()
    wire["region"]["fd"] = os.dup(wire["region"]["fd"])
    other = RecordLocks.from_wire(wire)
    assert other.count == 3
    assert other.try_acquire(2)
