from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gevent import get_hub

from geuwsgi.net.clock import Clock
from geuwsgi.server.unsent import Unsent


class Reader:
    """Where an answer goes; ``left`` bytes were not taken."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.expired = False

    def left_to_take(self) -> int:
        return self.left

    def expire(self) -> None:
        self.expired = True


class Answer:
    def __init__(self, size: int, left: int = 0) -> None:
        self.body_bytes = size
        self.stream = Reader(left)
        self.site = SimpleNamespace(hub=get_hub())
        self.ends: list[Callable[[], object]] = []

    def at_end(self, callback: Callable[[], object]) -> None:
        self.ends.append(callback)

    def end(self) -> None:
        for callback in self.ends:
            callback()


class Busy:
    def __init__(self, *holders: Answer, free: int = 0) -> None:
        self.free = [0] * free
        self.holders = dict(enumerate(holders))


class Lent:
    def __init__(self, *exchanges: Answer, is_full: bool = False) -> None:
        self.exchanges = list(exchanges)
        self.is_full = is_full
        self.is_needed = True


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def unsent(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Any, Clock]]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def make(most: int, most_in_files: int = 0) -> tuple[Any, Clock]:
        clock = Clock()
        clock.now = 100.0
        return Unsent(clock, told.append, most, most_in_files), clock

    return make


Make = Callable[..., tuple[Any, Clock]]


def test_answers_wait_without_a_core_while_there_is_room(unsent: Make) -> None:
    answers, _ = unsent(100)
    first = Answer(60)
    assert answers.admits(first)
    assert not answers.admits(Answer(60))
    assert answers.admits(Answer(40))
    first.end()
    assert answers.size == 40
    assert answers.admits(Answer(60))


def sender(sent: list[tuple[int, int]]) -> Callable[[int, int, int], int]:
    def send_file(fd: int, offset: int, count: int) -> int:
        sent.append((offset, count))
        with open(fd, "rb", closefd=False) as file:
            assert file.seek(0, 2) == count
        return count

    return send_file


def test_what_does_not_fit_goes_to_a_file_without_a_name(
    unsent: Make, tmp_path: Path
) -> None:
    answers, _ = unsent(0, 1_500_000)
    sent: list[tuple[int, int]] = []
    first, second = Answer(1_000_000), Answer(1_000_000)
    spilled = answers.spill(first, memoryview(bytes(900_000)), sender(sent))
    assert spilled is not None
    assert answers.size_in_files == 900_000
    assert not list(tmp_path.iterdir())
    assert answers.spill(second, memoryview(bytes(900_000)), sender(sent)) is None
    spilled.send()
    assert sent == [(0, 900_000)]
    first.end()
    assert spilled.file.closed
    assert answers.size_in_files == 0
    assert answers.spill(second, memoryview(bytes(900_000)), sender(sent)) is not None
    second.end()


def test_little_is_not_worth_a_file(unsent: Make) -> None:
    answers, _ = unsent(0, 1_500_000)
    assert answers.spill(Answer(9), memoryview(b"x" * 9), sender([])) is None


def test_a_disk_that_takes_nothing_is_told_of_once(
    unsent: Make, told: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers, _ = unsent(0, 1_500_000)
    (tmp_path / "a file").touch()
    answers._directory = str(tmp_path / "a file")
    for _ in range(2):
        answer = Answer(1_000_000)
        assert answers.spill(answer, memoryview(bytes(900_000)), sender([])) is None
        answer.end()
        assert answers.size_in_files == 0
    assert len(told) == 1
    assert told[0].startswith("cannot write what slow readers have not taken")


def looks(answers: Any, clock: Clock, seconds: int, *, lent: Any, cores: Any) -> None:
    for _ in range(seconds):
        clock.now += 1
        answers.give_up(cores, lent)


def test_readers_that_hold_cores_others_wait_for_are_given_up(
    unsent: Make, told: list[str]
) -> None:
    answers, clock = unsent(100)
    waiting, holding, lending = Answer(80, 80), Answer(80, 80), Answer(80, 80)
    assert answers.admits(waiting)
    for free in (1, 0):
        lent: Any = Lent(lending)
        cores: Any = Busy(holding, free=free)
        looks(answers, clock, 7, lent=lent, cores=cores)
        given_up = free == 0
        assert holding.stream.expired is given_up
        assert waiting.stream.expired is given_up
        assert lending.stream.expired is given_up
    assert answers.size == 0
    assert told[0] == (
        "all cores are busy: 3 readers that take their answers too slowly are given up"
    )


def test_a_reader_that_keeps_the_rate_is_not_given_up(unsent: Make) -> None:
    answers, clock = unsent(100)
    reader = Answer(80, 1 << 20)
    for _ in range(30):
        looks(answers, clock, 1, lent=Lent(is_full=True), cores=Busy(reader))
        reader.stream.left -= 2000
    reader.stream.left = 1 << 22  # the next piece
    looks(answers, clock, 1, lent=Lent(is_full=True), cores=Busy(reader))
    assert not reader.stream.expired
    looks(answers, clock, 3, lent=Lent(is_full=True), cores=Busy(reader))
    assert reader.stream.expired


def test_few_slow_readers_are_left_alone(unsent: Make) -> None:
    answers, clock = unsent(100)
    assert answers.admits(Answer(40, 40))
    holding = Answer(40, 40)
    lent: Any = Lent()
    lent.is_needed = False
    looks(answers, clock, 30, lent=lent, cores=Busy(holding))
    assert not holding.stream.expired


def test_what_was_a_peak_is_told_once_when_it_is_over(unsent: Make) -> None:
    answers, _ = unsent(1 << 30)
    first, second = Answer(100 << 20), Answer(5 << 20)
    assert answers.admits(first)
    assert answers.admits(second)
    assert not answers.has_shrunk()
    first.end()
    assert answers.has_shrunk()
    assert not answers.has_shrunk()
    second.end()
    assert not answers.has_shrunk()
