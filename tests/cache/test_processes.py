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

SECONDS = float(os.environ.get("GEUWSGI_HAMMER_SECONDS", "1.5"))
#: A long run ends after so many operations, if its seconds suffice.
OPERATIONS = int(os.environ.get("GEUWSGI_HAMMER_OPERATIONS", "1000000000"))
GEOMETRIES = {
    # Room for all there is, however it lies: nothing may get lost.
    "roomy": make_geometry(270, blocks=2000, blocksize=128, keysize=16, bitmap=True),
    # The least recently used make room all the time.
    "crowded": make_geometry(100, blocks=200, blocksize=128, keysize=16, bitmap=True),
    "plain": make_geometry(270, blocksize=hammer.LARGEST, keysize=16),
}


@pytest.fixture
def region() -> Iterator[Region]:
    region = make_region(GEOMETRIES["crowded"])
    yield region
    region.close()


def make_region(geometry: Geometry) -> Region:
    region = Region.create("test", geometry.size)
    mutex = make_mutex(region.memory, MUTEX_AT, fd=region.fd, fresh=True)
    Table(region.memory, geometry, mutex, fresh=True)
    return region


@pytest.mark.parametrize("name", GEOMETRIES)
def test_processes_killed_while_they_write_break_nothing(name: str) -> None:
    region = make_region(GEOMETRIES[name])
    may_vanish = name == "crowded"
    table = hammer.open_table(
        os.dup(region.fd),
        region.size,
        purge_lru=may_vanish,
        compiled=name != "roomy",
    )
    model = hammer.Model()
    generator = random.Random(7)
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def start(place: int) -> int:
        seed = generator.randrange(1 << 30)
        pid = os.fork()
        if not pid:
            try:
                hammer.work(
                    table, model, place, seed, report=writing, may_vanish=may_vanish
                )
            finally:
                os._exit(1)
        return pid

    kills = 0
    processes = {place: start(place) for place in range(hammer.PROCESSES)}
    try:
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends and model.operations() < OPERATIONS:
            time.sleep(0.05)
            place = generator.randrange(hammer.PROCESSES)
            ended = kill(processes.pop(place))
            assert ended == signal.SIGKILL, read_all(reading)
            kills += 1
            assert find_damage(table) == ""
            processes[place] = start(place)
    finally:
        for pid in processes.values():
            kill(pid)
        os.close(writing)
    assert read_all(reading) == ""
    assert model.operations() > 0
    assert find_damage(table) == ""
    for key, value, _ in table.entries():
        if key not in hammer.COUNTERS:
            hammer.number_of(hammer.NAMES.index(key), value)
    print(
        f"{name}: {model.operations()} operations, {kills} kills,"
        f" {table.counter(REPAIRS)} repairs"
    )
    os.close(reading)
    region.close()


def read_all(fd: int) -> str:
    with contextlib.suppress(BlockingIOError):
        return os.read(fd, 1 << 16).decode()
    return ""


def kill(pid: int) -> int:
    """Kill a child; return the number of the signal that ended it."""
    os.kill(pid, signal.SIGKILL)
    return os.WTERMSIG(os.waitpid(pid, 0)[1])


def test_additions_of_several_processes_are_all_counted(region: Region) -> None:
    table = hammer.open_table(os.dup(region.fd), region.size, purge_lru=True)
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
