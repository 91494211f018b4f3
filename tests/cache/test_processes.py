"""Several processes at one table, and what is left when they are killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from geuwsgi.cache.geometry import MUTEX_AT, REPAIRS, Geometry
from geuwsgi.cache.table import Table
from geuwsgi.cache.verify import find_damage
from geuwsgi.shared.arithmetic import Arithmetic
from geuwsgi.shared.mutex import make_mutex
from geuwsgi.shared.region import Region
from tests.cache import hammer
from tests.cache.tables import make_geometry

SECONDS = float(os.environ.get("GEUWSGI_HAMMER_SECONDS", "2"))


@pytest.fixture
def region() -> Iterator[Region]:
    geometry = make_geometry(100, blocks=200, blocksize=128, keysize=16, bitmap=True)
    region = Region.create("test", geometry.size)
    make_table_in(region, geometry)
    yield region
    region.close()


def make_table_in(region: Region, geometry: Geometry) -> Table:
    mutex = make_mutex(region.memory, MUTEX_AT, fd=region.fd, fresh=True)
    return Table(region.memory, geometry, mutex, fresh=True)


def test_processes_killed_while_they_write_leave_a_whole_table(region: Region) -> None:
    table = hammer.open_table(os.dup(region.fd), region.size)
    generator = random.Random(7)
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def start() -> int:
        seed = generator.randrange(1 << 30)
        pid = os.fork()
        if not pid:
            try:
                hammer.hammer(table, seed, writing)
            finally:
                os._exit(1)
        return pid

    seen = b""
    processes = [start() for _ in range(4)]
    try:
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            time.sleep(0.05)
            index = generator.randrange(4)
            assert kill(processes[index]) == signal.SIGKILL
            assert find_damage(table) == ""
            processes[index] = start()
            with contextlib.suppress(BlockingIOError):
                seen += os.read(reading, 1 << 16)
    finally:
        for pid in processes:
            kill(pid)
        os.close(writing)
    assert b"wrong" not in seen, seen
    assert b"." in seen
    assert find_damage(table) == ""
    for key, value, _ in table.entries():
        assert key == b"counter" or hammer.is_whole(key, value)
    print(f"{seen.count(b'.')} thousand operations, {table.counter(REPAIRS)} repairs")
    os.close(reading)


def kill(pid: int) -> int:
    """Kill a child; return the number of the signal that ended it."""
    os.kill(pid, signal.SIGKILL)
    return os.WTERMSIG(os.waitpid(pid, 0)[1])


def test_additions_of_several_processes_are_all_counted(region: Region) -> None:
    table = hammer.open_table(os.dup(region.fd), region.size)
    children = []
    for _ in range(3):
        pid = os.fork()
        if not pid:
            for _ in range(2000):
                table.change(b"n", Arithmetic.INC, 1)
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert table.number(b"n") == 6000
