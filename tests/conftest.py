"""What every test may use, and what no test may leave behind."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Cut = Callable[[bytes], list[bytes]]


def _whole(text: bytes) -> list[bytes]:
    return [text] if text else []


def _one_by_one(text: bytes) -> list[bytes]:
    return [text[i : i + 1] for i in range(len(text))]


def _random_pieces(text: bytes) -> list[bytes]:
    generator = random.Random(len(text))
    pieces = []
    start = 0
    while start < len(text):
        end = start + generator.choice((1, 2, 3, 5, 8, 13, 55, 377))
        pieces.append(text[start:end])
        start = end
    return pieces


@pytest.fixture(
    params=[_whole, _one_by_one, _random_pieces], ids=lambda cut: cut.__name__[1:]
)
def cut(request: pytest.FixtureRequest) -> Cut:
    """Cut bytes as a network may deliver them; the test runs once for each way."""
    chosen: Cut = request.param
    return chosen


def _children() -> set[int]:
    """The processes whose parent is this one, zombies included."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(map(int, path.read_text().split()))
        except OSError:  # the thread ended meanwhile
            continue
    return found


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Iterator[None]:
    before = _children()
    yield
    left = {
        pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        for pid in _children() - before
    }
    # multiprocessing keeps its own helper for the life of the interpreter.
    left = {pid: line for pid, line in left.items() if b"resource_tracker" not in line}
    assert not left, f"the test left child processes behind: {left}"
