from __future__ import annotations

import errno
import mmap
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator

import pytest

from geuwsgi.shared.mutex import (
    Mutex,
    MutexReentered,
    MutexTimeout,
    RecordMutex,
    RobustMutex,
    has_robust_mutexes,
    yield_processor,
)

KINDS = [
    pytest.param(
        "robust",
        marks=pytest.mark.skipif(not has_robust_mutexes(), reason="not on this system"),
    ),
    "record",
]


@pytest.fixture(params=KINDS)
def mutex(request: pytest.FixtureRequest) -> Iterator[Mutex]:
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), 4096)
        memory = mmap.mmap(file.fileno(), 4096)
        if request.param == "robust":
            robust = RobustMutex(memory, 128, wait=yield_processor, timeout_s=0.2)
            robust.initialise()
            yield robust
        else:
            yield RecordMutex(file.fileno(), 128, wait=yield_processor, timeout_s=0.2)


def hold_in_child(mutex: Mutex) -> int:
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        mutex.trylock(mutex.ref)
        os.write(write, b"x")
        signal.pause()
    os.read(read, 1)
    os.close(read)
    os.close(write)
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_function_is_called_with_the_lock_held(mutex: Mutex) -> None:
    assert mutex.call(lambda a, b: (a + b, mutex.holder()), 1, 2) == (
        3,
        threading.get_native_id(),
    )
    assert mutex.trylock(mutex.ref) == 0
    assert mutex.unlock(mutex.ref) == 0


def test_another_process_has_to_wait(mutex: Mutex) -> None:
    pid = hold_in_child(mutex)
    assert mutex.trylock(mutex.ref) == errno.EBUSY
    with pytest.raises(MutexTimeout, match="holds a shared lock for more than"):
        mutex.call(print)
    kill(pid)
    assert mutex.call(int, "5") == 5


def test_the_death_of_the_holder_gives_the_lock_to_who_waits(mutex: Mutex) -> None:
    pid = hold_in_child(mutex)
    mutex.timeout_s = 5
    attempts = []

    def wait(attempt: int) -> None:
        attempts.append(attempt)
        if attempt == 3:
            kill(pid)

    mutex.wait = wait
    assert mutex.call(int, "5") == 5
    assert attempts[:4] == [0, 1, 2, 3]
    assert mutex.call(int, "6") == 6


def test_a_thread_that_has_the_lock_is_told(mutex: Mutex) -> None:
    with pytest.raises(MutexReentered, match="by the thread that holds it"):
        mutex.call(lambda: mutex.call(print))
    assert mutex.call(int, "5") == 5


def test_an_exception_gives_the_lock_back(mutex: Mutex) -> None:
    with pytest.raises(ZeroDivisionError):
        mutex.call(lambda: 1 // 0)
    assert mutex.call(int, "5") == 5


def test_unlocking_what_is_not_ours_does_nothing(mutex: Mutex) -> None:
    pid = hold_in_child(mutex)
    assert mutex.unlock(mutex.ref) == errno.EPERM
    assert mutex.trylock(mutex.ref) == errno.EBUSY
    kill(pid)


def test_threads_exclude_each_other(mutex: Mutex) -> None:
    mutex.timeout_s = 10
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        for _ in range(20):
            pass
        inside -= 1

    def run() -> None:
        for _ in range(500):
            mutex.call(work)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == 1


def test_yielding_does_not_take_long() -> None:
    began = time.monotonic()
    yield_processor(0)
    yield_processor(1000)
    assert time.monotonic() - began < 0.1
