"""Writing to readers that are slow, stopped or gone."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.log.outlet import Buffer, Outlet

LINE = b"x" * 99 + b"\n"


@pytest.fixture(autouse=True)
def _within_seconds() -> Iterator[None]:
    """What this module promises is never to wait."""
    signal.alarm(10)
    yield
    signal.alarm(0)


@pytest.fixture(params=["pipe", "pipe of another user", "socket", "terminal"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """The reading and the writing end of something that can be full."""
    if request.param == "socket":
        first, second = socket.socketpair()
        reader, writer = first.detach(), second.detach()
    elif request.param == "terminal":
        reader, writer = pty.openpty()
    else:
        reader, writer = os.pipe()
    if request.param == "pipe of another user":
        request.getfixturevalue("monkeypatch").setattr(os, "open", _refuse)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def _refuse(path: str, flags: int) -> int:
    raise PermissionError(path)


def read_all(fd: int) -> bytes:
    os.set_blocking(fd, False)
    pieces = []
    try:
        while piece := os.read(fd, 65536):
            pieces.append(piece)
    except BlockingIOError:
        pass
    return b"".join(pieces).replace(b"\r\n", b"\n")


def test_lines_arrive(ends: tuple[int, int]) -> None:
    reader, writer = ends
    outlet = Outlet(writer)
    outlet.write(b"one\n")
    outlet.write(b"two\n")
    outlet.close()
    assert read_all(reader) == b"one\ntwo\n"


def test_a_reader_that_stops_stops_nobody(ends: tuple[int, int]) -> None:
    reader, writer = ends
    outlet = Outlet(writer, limit=5000)
    count = 20000
    for _ in range(count):
        outlet.write(LINE)
    assert outlet.dropped > 0
    read = b""
    while not outlet.flush():
        read += read_all(reader)
    outlet.close()
    lines = (read + read_all(reader)).splitlines()
    assert lines[-1] == (
        b"*** %d log lines were lost: their reader was too slow ***" % outlet.dropped
    )
    text = b"\n".join(lines[:-1]) + b"\n"
    assert text == LINE * (count - outlet.dropped)


def test_the_descriptor_of_others_stays_blocking(ends: tuple[int, int]) -> None:
    _, writer = ends
    outlet = Outlet(writer)
    outlet.write(LINE)
    assert os.get_blocking(writer)
    outlet.close()
    assert fcntl.fcntl(writer, fcntl.F_GETFD) >= 0


def test_a_reader_that_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    outlet = Outlet(writer)
    os.close(reader)
    outlet.write(LINE)
    outlet.close()
    os.close(writer)
    assert outlet.dropped == 1


def test_a_descriptor_that_is_closed_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    Outlet(writer).write(LINE)


def test_a_file_is_written_as_it_is(tmp_path: Path) -> None:
    with open(tmp_path / "log", "ab") as file:
        outlet = Outlet(file.fileno())
        for _ in range(100):
            outlet.write(LINE)
        outlet.close()
    assert (tmp_path / "log").read_bytes() == LINE * 100


def test_many_writers_do_not_mix_their_lines() -> None:
    reader, writer = os.pipe()
    program = (
        "import sys\n"
        "from geuwsgi.log.outlet import Outlet\n"
        "outlet = Outlet(1)\n"
        "for _ in range(2000):\n"
        "    outlet.write(sys.argv[1].encode() * 99 + b'\\n')\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, letter], stdout=writer)
        for letter in "ab"
    ]
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        lines = file.readlines()
    assert all(child.wait() == 0 for child in children)
    assert set(lines) == {b"a" * 99 + b"\n", b"b" * 99 + b"\n"}


def test_a_buffer_collects_up_to_its_size() -> None:
    reader, writer = os.pipe()
    buffer = Buffer(Outlet(writer), 250)
    buffer.write(LINE)
    buffer.write(LINE)
    assert read_all(reader) == b""
    buffer.write(LINE)
    assert read_all(reader) == LINE * 3
    buffer.write(LINE)
    assert buffer.flush()
    assert read_all(reader) == LINE
    buffer.write(LINE)
    buffer.close()
    assert read_all(reader) == LINE
    os.close(reader)
    os.close(writer)
