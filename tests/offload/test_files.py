"""Sending pieces of files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.offload.files import COPY_BLOCK, WINDOW, FileSender, Progress


class MemorySink:
    """Takes everything at once."""

    def __init__(self) -> None:
        self.received = b""
        self.calls: list[str] = []

    def send_all(self, octets: bytes | memoryview, /) -> None:
        self.calls.append("send_all")
        self.received += octets

    def send_file(
        self, fd: int, offset: int, count: int, progress: Progress | None = None, /
    ) -> int:
        self.calls.append("send_file")
        piece = os.pread(fd, count, offset)
        self.received += piece
        if progress is not None and piece:
            progress(len(piece))
        return len(piece)


@pytest.fixture
def octets() -> bytes:
    return os.urandom(2 * WINDOW + 12345)


@pytest.fixture
def fd(tmp_path: Path, octets: bytes) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(octets)
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


@pytest.fixture(params=[(True, 0), (False, 0), (True, 2), (False, 2)], ids=str)
def sender(request: pytest.FixtureRequest) -> Iterator[FileSender]:
    use_sendfile, threads = request.param
    made = FileSender(use_sendfile=use_sendfile, threads=threads)
    yield made
    made.close()


def test_the_piece_asked_for_is_sent(
    sender: FileSender, fd: int, octets: bytes
) -> None:
    sink = MemorySink()
    told: list[int] = []
    count = WINDOW + COPY_BLOCK + 7
    assert sender.send(sink, fd, 1000, count, told.append) == count
    assert sink.received == octets[1000 : 1000 + count]
    assert sum(told) == count


def test_a_file_that_ends_early_sends_what_it_has(
    sender: FileSender, fd: int, octets: bytes
) -> None:
    sink = MemorySink()
    assert sender.send(sink, fd, len(octets) - 10, 100) == 10
    assert sink.received == octets[-10:]


def test_a_file_whose_bytes_are_not_cached_is_sent_all_the_same(
    sender: FileSender, fd: int, octets: bytes
) -> None:
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    sink = MemorySink()
    assert sender.send(sink, fd, 0, len(octets)) == len(octets)
    assert sink.received == octets


def test_sendfile_is_not_used_when_disabled(fd: int) -> None:
    sink = MemorySink()
    FileSender(use_sendfile=False).send(sink, fd, 0, 10)
    assert sink.calls == ["send_all"]


def test_reading_at_the_end_returns_nothing(
    sender: FileSender, fd: int, octets: bytes
) -> None:
    assert sender.read(fd, len(octets), 10) == b""
    assert sender.read(fd, len(octets) - 3, 10) == octets[-3:]


def test_no_descriptor_is_left_open_by_threads(fd: int) -> None:
    sender = FileSender(threads=1)
    sender._in_thread(fd, 10, 0)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        sender._in_thread(fd, 10, 0)
    assert len(os.listdir("/proc/self/fd")) == before
    sender.close()
