from __future__ import annotations

import pytest

from geuwsgi.background.signals import SignalRouter
from geuwsgi.shared.mailboxes import Farm, Mailbox, Mailboxes
from geuwsgi.shared.signaltable import SignalTable


@pytest.fixture
def boxes() -> Mailboxes:
    return Mailboxes.create(
        workers=3, mules=2, farms=[Farm("a", (1,)), Farm("b", (1, 2))], spoolers=True
    )


@pytest.fixture
def router(boxes: Mailboxes) -> SignalRouter:
    return SignalRouter(SignalTable.create(), boxes, lambda: [1, 3, 99])


def names(boxes: Mailboxes, found: list[Mailbox]) -> list[str]:
    kinds = {
        "worker": boxes.worker_signals,
        "mule": boxes.mule_signals,
        "farm": boxes.farm_signals,
        "spooler": boxes.spooler_signals,
    }
    return [
        f"{kind} {known.index(box)}"
        for box in found
        for kind, known in kinds.items()
        if box in known
    ]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("", ["worker 0"]),
        ("worker", ["worker 0"]),
        ("worker0", ["worker 0"]),
        ("worker2", ["worker 2"]),
        ("worker4", []),
        ("workers", ["worker 1", "worker 2", "worker 3"]),
        ("active-workers", ["worker 1", "worker 3"]),
        ("mule", ["mule 0"]),
        ("mule0", ["mule 0"]),
        ("mule1", ["mule 1"]),
        ("mule9", []),
        ("mules", ["mule 1", "mule 2"]),
        ("spooler", ["spooler 0"]),
        ("farm_b", ["farm 1"]),
        ("farm1", ["farm 0"]),
        ("farm0", []),
        ("farm_c", []),
        ("subscribed", []),
        ("nonsense", []),
    ],
)
def test_a_target_means_boxes(
    router: SignalRouter, boxes: Mailboxes, target: str, expected: list[str]
) -> None:
    assert names(boxes, router.boxes_of(target)) == expected


def test_a_signal_is_put_where_it_belongs(
    router: SignalRouter, boxes: Mailboxes
) -> None:
    assert router.send(7) is False
    router._table.register(7, b"workers")
    assert router.is_registered(7)
    assert router.send(7) is True
    assert [box.receive() for box in boxes.worker_signals] == [
        None,
        b"\7",
        b"\7",
        b"\7",
    ]


def test_what_cannot_be_delivered_is_counted(
    router: SignalRouter, boxes: Mailboxes
) -> None:
    router._table.register(1, b"mule9")
    router._table.register(2, b"mule1")
    router.send(1)
    assert router.unrouted == 1
    while boxes.mule_signals[1].send(b"x" * 4096):
        pass
    router.send(2)
    assert router.unrouted == 2
