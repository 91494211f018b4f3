"""Greenlets that begin with little memory for frames call as deep as any other."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from greenlet import GreenletExit, getcurrent, greenlet

from geuwsgi.server.context import on_small_stack


def _depth(n: int) -> int:
    return 1 + _depth(n - 1) if n else 0


def _parked_deep(n: int) -> object:
    if n:
        return _parked_deep(n - 1)
    return getcurrent().parent.switch("parked")  # type: ignore[union-attr]


def test_arguments_and_results_pass() -> None:
    child = greenlet(on_small_stack(lambda one, two: (two, one)))
    assert child.switch(1, 2) == (2, 1)


def test_calls_go_deeper_than_the_first_chunk() -> None:
    child = greenlet(on_small_stack(_depth))
    limit = sys.getrecursionlimit()
    assert child.switch(limit // 2) == limit // 2


def test_a_function_is_called_again_and_again_at_the_end_of_a_chunk() -> None:
    def at_each_depth() -> int:
        return sum(_deeper(n) for n in range(60) for _ in range(50))

    def _deeper(n: int) -> int:
        return _deeper(n - 1) if n else _depth(1)

    assert greenlet(on_small_stack(at_each_depth)).switch() == 3000


def test_endless_recursion_is_an_error_as_elsewhere() -> None:
    def endless() -> None:
        endless()

    with pytest.raises(RecursionError):
        greenlet(on_small_stack(endless)).switch()
    assert greenlet(on_small_stack(_depth)).switch(100) == 100


@pytest.mark.parametrize("depth", [0, 5, 10, 20, 50, 200, 500])
def test_parked_greenlets_go_on_where_they_were(depth: int) -> None:
    parked = [greenlet(on_small_stack(_parked_deep)) for _ in range(50)]
    assert all(child.switch(depth) == "parked" for child in parked)
    for number, child in enumerate(parked):
        assert child.switch(number) == number
        assert child.dead


@pytest.mark.parametrize("depth", [0, 10, 50, 500])
def test_parked_greenlets_can_be_ended_and_forgotten(depth: int) -> None:
    for _ in range(3):
        parked = [greenlet(on_small_stack(_parked_deep)) for _ in range(10)]
        for child in parked:
            child.switch(depth)
        for child in parked[:5]:
            child.throw(GreenletExit)
        del child, parked
    assert _depth(200) == 200


def test_generators_live_on_in_another_greenlet() -> None:
    def numbers() -> Iterator[int]:
        for n in range(40):
            yield _depth(n)

    def begin() -> Iterator[int]:
        made = numbers()
        assert next(made) == 0
        return made

    made = greenlet(on_small_stack(begin)).switch()
    assert list(made) == list(range(1, 40))


def test_errors_leave_with_their_traceback() -> None:
    def fails(n: int) -> None:
        if n:
            fails(n - 1)
        raise LookupError("deep down")

    child = greenlet(on_small_stack(fails))
    with pytest.raises(LookupError) as raised:
        child.switch(100)
    assert len(raised.traceback) >= 100
