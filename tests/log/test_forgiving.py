from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.log.forgiving import ForgivingFile


@pytest.fixture
def file_limit() -> Iterator[int]:
    """No file grows beyond a megabyte, as on a disk that is full there."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        yield 1 << 20
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_what_can_be_written_is_written(tmp_path: Path) -> None:
    text = b"line\n" * 5000
    with ForgivingFile(str(tmp_path / "log"), "w") as log:
        assert log.write(text) == len(text)
    assert (tmp_path / "log").read_bytes() == text


def test_a_full_disk_raises_nothing(tmp_path: Path, file_limit: int) -> None:
    path = tmp_path / "log"
    path.touch()
    os.truncate(path, file_limit)
    with ForgivingFile(str(path), "a") as log:
        assert log.write(b"line\n") == 5
    assert path.stat().st_size == file_limit


def test_a_reader_that_stopped_is_not_waited_for() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), ForgivingFile(writing, "w") as log:
        began = time.monotonic()
        for _ in range(40):
            assert log.write(b"x" * 4096) == 4096
        assert time.monotonic() - began < 5


def test_a_reader_that_died_is_not_told() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with ForgivingFile(writing, "w") as log:
        assert log.write(b"line\n") == 5
