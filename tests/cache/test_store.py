from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.cache.caches import Caches
from geuwsgi.cache.geometry import OPEN_IN_BOOT, Geometry
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.errors import StartupError
from tests.cache.test_caches import Log


def open_caches(path: Path, more: str = "", log: Log | None = None) -> Caches:
    text = f"name=c,items=50,blocksize=100,store={path}{more}"
    return Caches.create([CacheSpec.parse(text)], log=Log() if log is None else log)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    caches = open_caches(path)
    fill(caches)
    caches.close()
    return path


def fill(caches: Caches) -> None:
    (cache,) = caches
    for number in range(40):
        assert cache.set(b"key%d" % number, b"value%d" % number)
    cache.delete(b"key7")


def expect_contents(caches: Caches) -> None:
    (cache,) = caches
    expected = {b"key%d" % n: b"value%d" % n for n in range(40) if n != 7}
    assert {key: value for key, value, _ in cache.table.entries()} == expected


def test_what_was_stored_is_there_after_a_restart(stored: Path) -> None:
    caches = open_caches(stored)
    expect_contents(caches)
    caches.close()


def test_killing_everybody_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store"
    pid = os.fork()
    if not pid:
        fill(open_caches(path))
        os._exit(9)
    os.waitpid(pid, 0)
    log = Log()
    caches = open_caches(path, log=log)
    expect_contents(caches)
    assert log == []
    caches.close()


def test_a_store_of_another_size_is_converted(stored: Path) -> None:
    log = Log()
    caches = open_caches(stored, ",bitmap=1,blocks=500,keysize=99", log)
    expect_contents(caches)
    assert caches.local().table.geometry.keysize == 99  # type: ignore[union-attr]
    assert log == ['the store of cache "c" was converted to its new size']
    caches.close()
    again = open_caches(stored, ",bitmap=1,blocks=500,keysize=99", log)
    expect_contents(again)
    assert len(log) == 1
    again.close()


def refused(path: Path) -> str:
    """Open a damaged store; return why it is refused."""
    damaged = path.read_bytes()
    log = Log()
    caches = open_caches(path, log=log)
    (cache,) = caches
    assert cache.keys() == []
    assert cache.set(b"key", b"value")
    caches.close()
    (copy,) = path.parent.glob("store.damaged-*")
    kept = copy.read_bytes()
    # The lock in the header was made anew before the rest was looked at.
    assert kept[:256] + kept[4096:] == damaged[:256] + damaged[4096:]
    (line,) = log
    assert str(path) in line and str(copy) in line
    return line


def geometry_of(path: Path) -> Geometry:
    return Geometry.decode(path.read_bytes()[:256])


def damage(path: Path, at: int, replacement: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(replacement)


def test_a_file_that_is_no_store_is_refused(stored: Path) -> None:
    stored.write_bytes(b"#!/bin/sh\necho hello\n")
    assert "the header has 21 bytes" in refused(stored)


def test_a_wrong_beginning_is_refused(stored: Path) -> None:
    damage(stored, 0, b"X")
    assert "it begins with b'Xeucache'" in refused(stored)


def test_a_truncated_store_is_refused(stored: Path) -> None:
    size = stored.stat().st_size
    os.truncate(stored, size - 4096)
    assert f"it has {size - 4096} bytes instead of {size}" in refused(stored)


def test_an_impossible_size_is_refused(stored: Path) -> None:
    damage(stored, 24, b"\xff" * 8)
    assert "impossible sizes" in refused(stored)


def test_a_changed_key_is_refused(stored: Path) -> None:
    whole = stored.read_bytes()
    damage(stored, whole.index(b"key12"), b"kex12")
    assert "stands in the wrong chain" in refused(stored)


def test_a_broken_chain_is_refused(stored: Path) -> None:
    geometry = geometry_of(stored)
    damage(stored, geometry.buckets_at, b"\1\0\0\0" * geometry.buckets)
    assert "chain" in refused(stored)


def test_a_machine_that_went_down_is_noticed(stored: Path) -> None:
    damage(stored, 8 * OPEN_IN_BOOT, b"\x11" * 8)
    assert "the machine went down while it was in use" in refused(stored)


@pytest.mark.parametrize("seed", range(30))
def test_damage_anywhere_never_crashes(stored: Path, seed: int) -> None:
    geometry = geometry_of(stored)
    at = (seed * 7919) % (geometry.slots_at + geometry.slot_size * 41)
    damage(stored, at, bytes([seed * 8 | 1]) * 16)
    caches = open_caches(stored)
    for _ in caches.local().table.entries():  # type: ignore[union-attr]
        pass
    caches.local().set(b"new", b"value")  # type: ignore[union-attr]
    caches.close()


def test_a_second_instance_is_told(stored: Path) -> None:
    caches = open_caches(stored)
    with pytest.raises(StartupError, match="another instance has it open"):
        open_caches(stored)
    caches.close()


def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="No such file or directory"):
        open_caches(tmp_path / "missing" / "store")


@pytest.fixture
def little_disk() -> Iterator[None]:
    """No file grows beyond 16 KiB, as if the disk ended there."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_store_that_has_no_room_is_refused(tmp_path: Path, little_disk: None) -> None:
    # Were it only made longer, the first to write where the disk is full would die.
    with pytest.raises(StartupError, match="File too large"):
        open_caches(tmp_path / "store")


def test_a_store_that_has_no_room_to_grow_stays_as_it_is(
    stored: Path, little_disk: None
) -> None:
    with pytest.raises(StartupError, match="in its new size, File too large"):
        open_caches(stored, ",bitmap=1,blocks=5000")
    assert [path.name for path in stored.parent.iterdir()] == [stored.name]
    caches = open_caches(stored)
    expect_contents(caches)
    caches.close()


def test_a_store_has_its_room_on_the_disk(stored: Path) -> None:
    status = stored.stat()
    assert status.st_blocks * 512 >= status.st_size


def test_a_store_may_be_deleted_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "store"
    caches = open_caches(path, ",store_delete=1")
    assert path.exists()
    caches.close()
    assert not path.exists()
