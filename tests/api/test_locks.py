from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import gevent
import pytest

from geuwsgi.api.context import ApiContext
from geuwsgi.api.locks import Locks
from geuwsgi.background.commons import Commons
from geuwsgi.server.context import ConnectionGreenlet
from geuwsgi.shared.recordlocks import RecordLocks
from tests.api.answers import compare


@pytest.fixture
def context() -> Any:
    commons = Commons(locks=RecordLocks.create("locks", 2))
    return SimpleNamespace(commons=commons, is_spooler=False)


@pytest.fixture
def locks(context: Any) -> Locks:
    return Locks(cast(ApiContext, context))


def test_locks_answer_as_uwsgi(locks: Locks) -> None:
    functions = {"lock": locks.lock, "unlock": locks.unlock}
    assert compare("locks", {**functions, "is_locked": locks.is_locked}) == []


def test_the_spooler_has_no_locks(locks: Locks, context: Any) -> None:
    context.is_spooler = True
    with pytest.raises(ValueError, match="The spooler cannot lock"):
        locks.lock()


def test_a_lock_that_is_not_free_in_time_is_told(locks: Locks) -> None:
    locks.lock()
    waiting = gevent.spawn(locks.lock, 0, 0.01)
    with pytest.raises(TimeoutError, match=r"lock 0 was not free within 0.01 seconds"):
        waiting.get(timeout=20)


def test_a_greenlet_does_not_wait_for_itself(locks: Locks) -> None:
    locks.lock()
    with pytest.raises(RuntimeError, match="this greenlet has lock 0 already"):
        locks.lock()
    with locks.locked(1):
        assert locks.is_locked(1)
    assert not locks.is_locked(1)


def test_a_request_that_ends_gives_its_locks_back(
    locks: Locks, capfd: pytest.CaptureFixture[str]
) -> None:
    ends: list[Callable[[], None]] = []
    exchange: Any = SimpleNamespace(
        at_end=ends.append,
        method="GET",
        environ={"REQUEST_URI": "/page"},
    )

    def serve() -> None:
        for _ in range(3):
            locks.lock()
            locks.unlock()
        locks.lock()
        for end in ends:
            end()

    connection = ConnectionGreenlet(serve)
    exchange.greenlet = connection
    connection.exchange = exchange
    connection.switch()
    assert len(ends) == 1
    assert not locks.is_locked()
    assert "GET /page ended with lock 0 taken" in capfd.readouterr().err
