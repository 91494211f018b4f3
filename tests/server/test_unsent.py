from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geuwsgi.net.clock import Clock
from geuwsgi.server.unsent import Unsent


class Reader:
    """Where an answer goes: parked since ``since``, 0 if it takes something now."""

    def __init__(self, since: float) -> None:
        self.write_timeout = 30.0
        self.write_deadline = since + 30.0 if since else 0.0
        self.expired = False

    def expire(self) -> None:
        self.expired = True


class Answer:
    def __init__(self, size: int, since: float = 0.0) -> None:
        self.body_bytes = size
        self.stream = Reader(since)
        self.ends: list[Callable[[], None]] = []

    def at_end(self, callback: Callable[[], None]) -> None:
        self.ends.append(callback)

    def end(self) -> None:
        for callback in self.ends:
            callback()


class Busy:
    def __init__(self, *holders: Answer, free: int = 0) -> None:
        self.free = [0] * free
        self.holders = dict(enumerate(holders))


def unsent(most: int) -> tuple[Unsent, Any, Clock]:
    clock = Clock()
    clock.now = 100.0
    one: Any = Unsent(clock, most)
    return one, one.admits, clock


def test_answers_wait_without_a_core_while_there_is_room() -> None:
    answers, admits, _ = unsent(100)
    first = Answer(60)
    assert admits(first)
    assert not admits(Answer(60))
    assert admits(Answer(40))
    first.end()
    assert answers.size == 40
    assert admits(Answer(60))


def test_a_reader_that_takes_nothing_makes_room() -> None:
    answers, admits, _ = unsent(100)
    stalled, moving = Answer(60, since=98.5), Answer(40, since=99.5)
    assert admits(stalled)
    assert admits(moving)
    newer = Answer(50)
    assert admits(newer)
    assert stalled.stream.expired
    assert not moving.stream.expired
    stalled.end()  # it ends of it, and is not counted twice
    assert answers.size == 90


def test_readers_that_hold_cores_others_wait_for_are_given_up() -> None:
    answers, admits, _ = unsent(100)
    waiting, holding = Answer(80, since=90), Answer(80, since=90)
    assert admits(waiting)
    cores: Any = Busy(holding, free=1)
    answers.give_up(cores)
    assert not holding.stream.expired
    cores = Busy(holding)
    answers.give_up(cores)
    assert holding.stream.expired
    assert waiting.stream.expired
    assert answers.size == 0


def test_few_slow_readers_are_left_alone() -> None:
    answers, admits, _ = unsent(100)
    assert admits(Answer(40, since=90))
    holding = Answer(40, since=90)
    cores: Any = Busy(holding)
    answers.give_up(cores)
    assert not holding.stream.expired


def test_what_was_a_peak_is_told_once_when_it_is_over() -> None:
    answers, admits, _ = unsent(1 << 30)
    first, second = Answer(100 << 20), Answer(5 << 20)
    assert admits(first)
    assert admits(second)
    assert not answers.has_shrunk()
    first.end()
    assert answers.has_shrunk()
    assert not answers.has_shrunk()
    second.end()
    assert not answers.has_shrunk()
