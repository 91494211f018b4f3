from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import get_hub

from geuwsgi.server.cores import Cores
from geuwsgi.server.lending import LENT, Lending


class Peer:
    """The stream of a request: is its greenlet parked there?"""

    def __init__(self, *, parked: bool = True, unsent: int = 0) -> None:
        self.parked = parked
        self.unsent = unsent

    def is_parked(self, current: object) -> bool:
        return self.parked


class Request:
    """Holds a core until it is told to end."""

    def __init__(
        self, cores: Cores, peer: Peer, *, upgraded: bool = False, answer: int = 0
    ) -> None:
        self.stream = peer
        self.upgraded = upgraded
        self.input = None
        self.greenlet = None
        self.headers_sent = answer > 0
        self.body_bytes = answer
        self._left = 0
        self.core = -1
        self._cores = cores
        self.running = gevent.spawn(self._begin)

    def _begin(self) -> None:
        self.core = self._cores.take(self)

    def take_lent_core(self) -> None:
        raise AssertionError("no body")


@pytest.fixture
def made() -> Iterator[Callable[..., tuple[Cores, Lending]]]:
    started: list[Lending] = []

    def make(
        count: int, most: int = 8, most_bytes: int = 1 << 20
    ) -> tuple[Cores, Lending]:
        cores = Cores(
            count,
            get_hub(),
            exhausted=lambda: lending.begin(),
            available=lambda: None,
        )
        lending = Lending(cores, get_hub().loop, most, most_bytes)
        started.append(lending)
        return cores, lending

    yield make
    for lending in started:
        lending.stop()


Make = Callable[..., Any]


def wait_for(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(5):
        while not condition():
            gevent.sleep(0.001)


def test_who_waits_for_a_peer_lends_its_core_to_who_waits_for_one(made: Make) -> None:
    cores, lending = made(2)
    slow = [Request(cores, Peer()) for _ in range(2)]
    wait_for(lambda: bool(cores.free))
    ordinary = [Request(cores, Peer(parked=False)) for _ in range(2)]
    wait_for(lambda: all(one.core >= 0 for one in ordinary))
    assert [one.core for one in slow] == [LENT, LENT]
    assert len(lending.exchanges) == 2
    assert lending.is_needed
    for one in slow:
        lending.returns(one)
    assert lending.size == 0


def test_cores_of_others_and_of_websockets_are_not_lent(made: Make) -> None:
    cores, lending = made(2)
    busy = Request(cores, Peer(parked=False))
    websocket = Request(cores, Peer(), upgraded=True)
    third = Request(cores, Peer())
    gevent.sleep(0.02)
    assert (busy.core, websocket.core) == (1, 0)
    assert third.core == -1
    assert not lending.exchanges
    # Later it does wait for its peer.
    busy.stream.parked = True
    wait_for(lambda: third.core >= 0)
    assert busy.core == LENT


def test_what_is_lent_has_bounds_in_number_and_in_bytes(made: Make) -> None:
    cores, lending = made(1)
    requests = [Request(cores, Peer()) for _ in range(12)]
    wait_for(lambda: lending.is_full)
    gevent.sleep(0.02)
    assert len(lending.exchanges) == 8
    assert sum(one.core == LENT for one in requests) == 8
    assert sum(one.core >= 0 for one in requests) == 1
    cores, lending = made(1)
    for _ in range(3):
        Request(cores, Peer(unsent=1 << 20))
    wait_for(lambda: lending.is_full)
    assert len(lending.exchanges) == 1
    cores, lending = made(1)
    for _ in range(3):
        Request(cores, Peer(unsent=1), answer=1 << 20)
    wait_for(lambda: lending.is_full)
    assert len(lending.exchanges) == 1


def test_it_looks_only_while_there_is_need(made: Make) -> None:
    cores, lending = made(4)
    requests = [Request(cores, Peer()) for _ in range(3)]
    gevent.sleep(0.02)
    assert not lending.is_needed
    assert all(one.core >= 0 for one in requests)
