from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from geuwsgi.server.slowbodies import SlowBodies


@dataclass
class Body:
    arrived: int = 0
    complete: bool = False


@dataclass
class Waiting:
    deadline: float = 10.0
    is_waiting: bool = True
    expired: int = 0

    def expire(self) -> None:
        self.expired += 1


@dataclass(eq=False)
class Request:
    input: Body | None = field(default_factory=Body)
    stream: Waiting = field(default_factory=Waiting)
    upgraded: bool = False


def looks(request: Any, *seconds: float, rate: int = 0) -> list[bool]:
    """Whether the request is given up at each look."""
    bodies = SlowBodies(print)
    found = []
    for now in seconds:
        if request.input is not None:
            request.input.arrived = int(now * rate)
        found.append(bodies.look([request], now) == [request.stream])
    return found


def test_a_body_that_trickles_is_given_up_after_a_while() -> None:
    assert looks(Request(), 1, 4, 6, 7, rate=1) == [False, False, False, True]


def test_a_body_that_keeps_the_rate_is_not() -> None:
    assert not any(looks(Request(), *range(1, 60), rate=1024))


def test_requests_that_do_not_wait_for_a_body_are_not() -> None:
    for request in (
        Request(input=None),
        Request(input=Body(complete=True)),
        Request(upgraded=True),
        Request(stream=Waiting(is_waiting=False)),
        Request(stream=Waiting(deadline=0.0)),
    ):
        assert not any(looks(request, 1, 10, 100))


def test_who_did_something_else_meanwhile_is_measured_anew() -> None:
    bodies = SlowBodies(print)
    request: Any = Request()
    assert bodies.look([request], 1) == []
    request.stream.is_waiting = False
    assert bodies.look([request], 4) == []
    request.stream.is_waiting = True
    assert bodies.look([request], 8) == []
    assert bodies.look([request], 12) == []
    assert bodies.look([request], 14) == [request.stream]


@dataclass
class Busy:
    holders: dict[int, Any]
    free: list[int]


@dataclass
class Lent:
    exchanges: list[Any] = field(default_factory=list)
    is_full: bool = False
    is_needed: bool = True


def test_while_there_are_free_cores_nobody_is_given_up() -> None:
    told: list[str] = []
    bodies = SlowBodies(told.append)
    request: Any = Request()
    cores: Any = Busy({0: request}, [1])
    lending: Any = Lent(is_needed=False)
    bodies.give_up(cores, lending, 1)
    bodies.give_up(cores, lending, 100)
    cores.free.clear()
    lending.is_needed = True
    bodies.give_up(cores, lending, 101)
    assert not told
    bodies.give_up(cores, lending, 110)
    assert told == [
        "all cores are busy: 1 requests whose bodies come too slowly are given up"
    ]
    assert request.stream.expired == 1


def test_where_no_more_cores_are_lent_a_second_is_enough() -> None:
    told: list[str] = []
    bodies = SlowBodies(told.append)
    request: Any = Request()
    cores: Any = Busy({}, [1])
    lending: Any = Lent([request])
    for now in (1, 2, 3, 20):
        bodies.give_up(cores, lending, now)
    assert not told
    lending.is_full = True
    bodies.give_up(cores, lending, 21)
    assert request.stream.expired == 1
