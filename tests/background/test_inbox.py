from __future__ import annotations

from collections.abc import Container

import gevent
import gevent.event
import pytest

from geuwsgi.background.inbox import SignalInbox, WithSignals
from geuwsgi.shared.mailboxes import Mailbox
from tests.background.eventually import eventually


@pytest.fixture
def box() -> Mailbox:
    return Mailbox.for_signals()


def test_a_handler_runs_in_a_greenlet_of_its_own(box: Mailbox) -> None:
    done: gevent.event.AsyncResult[int] = gevent.event.AsyncResult()
    started = []

    def handle(number: int) -> None:
        started.append(number)
        if number == 1:
            gevent.sleep(30)
        done.set(number)

    inbox = SignalInbox({1: handle, 2: handle}, "worker 1")
    inbox.start([box])
    box.send(b"\1")
    box.send(b"\2")
    assert done.get(timeout=20) == 2
    assert started == [1, 2]
    inbox.stop()


def test_an_unknown_signal_and_a_failing_handler_are_told(
    box: Mailbox, capfd: pytest.CaptureFixture[str]
) -> None:
    counted = []
    inbox = SignalInbox({1: lambda number: 1 // 0}, "worker 3")
    inbox.on_signal = lambda: counted.append(1)
    inbox.deliver(1)
    inbox.deliver(2)
    gevent.sleep(0)
    told = capfd.readouterr().err
    assert "ZeroDivisionError" in told
    assert "error managing signal 1 on worker 3" in told
    assert "error managing signal 2 on worker 3" in told
    assert len(counted) == 2


def test_waiting_ends_with_the_awaited_signal(box: Mailbox) -> None:
    handled: list[int] = []
    inbox = SignalInbox({1: handled.append, 2: handled.append}, "worker 1")
    one = gevent.spawn(inbox.wait, 1)
    anyone = gevent.spawn(inbox.wait, None)
    gevent.sleep(0)
    inbox.deliver(2)
    assert anyone.get(timeout=20) == 2
    assert not one.ready()
    inbox.deliver(1)
    assert one.get(timeout=20) == 1
    eventually(lambda: handled == [2, 1])
    assert inbox.wait(5, timeout_s=0.001) is None


def test_what_drains_leaves_signals_to_others(box: Mailbox) -> None:
    class Nothing:
        def start(self) -> None: ...

        def stop_accepting(self) -> None: ...

        def accept_the_rest(self, filenos: Container[int]) -> None: ...

        def drain(self, *, reason: str, deadline_s: float) -> bool:
            return True

    handled: list[int] = []
    serving = WithSignals(Nothing(), SignalInbox({1: handled.append}, "w"), [box])
    serving.start()
    serving.start()
    box.send(b"\1")
    eventually(lambda: handled == [1])
    assert serving.drain(reason="reload", deadline_s=1)
    box.send(b"\1")
    gevent.sleep(0.005)
    assert handled == [1]
    assert box.receive() == b"\1"
