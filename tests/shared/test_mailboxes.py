from __future__ import annotations

import json
import os

from geuwsgi.shared.mailboxes import Farm, Mailbox, Mailboxes


def make(
    previous: Mailboxes | None = None, workers: int = 2, mules: int = 2
) -> Mailboxes:
    return Mailboxes.create(
        workers=workers,
        mules=mules,
        farms=[Farm("f", (1, 2))],
        spoolers=True,
        previous=previous,
    )


def test_messages_keep_their_borders() -> None:
    box = Mailbox.for_messages()
    assert box.receive() is None
    for message in (b"one", b"", b"three"):
        assert box.send(message)
    assert [box.receive() for _ in range(4)] == [b"one", b"", b"three", None]


def test_signals_come_one_by_one() -> None:
    box = Mailbox.for_signals()
    box.send(b"\1")
    box.send(b"\2")
    assert [box.receive() for _ in range(3)] == [b"\1", b"\2", None]


def test_a_full_box_refuses() -> None:
    box = Mailbox.for_messages()
    sent = 0
    while box.send(b"x" * 1000):
        sent += 1
        assert sent < 100_000
    assert sent > 5
    assert not box.send(b"x" * 10_000_000)
    box.receive()
    assert box.send(b"x")


def test_a_larger_buffer_takes_larger_messages() -> None:
    assert not Mailbox.for_messages().send(b"x" * 300_000)
    assert Mailbox.for_messages(400_000).send(b"x" * 300_000)


def test_boxes_are_found_again_in_another_process() -> None:
    boxes = make()
    wire = json.loads(json.dumps(boxes.to_wire()))
    wire["boxes"] = {
        kind: [[os.dup(fd) for fd in fds] for fds in entries]
        for kind, entries in wire["boxes"].items()
    }
    other = Mailboxes.from_wire(wire)
    assert other.farms == boxes.farms
    boxes.mule_messages[2].send(b"text")
    other.worker_signals[1].send(b"\7")
    assert other.mule_messages[2].receive() == b"text"
    assert boxes.worker_signals[1].receive() == b"\7"
    assert len(boxes.descriptors()) == 2 * (3 + 3 + 3 + 1 + 1 + 1 + 1)
    other.close()
    boxes.close()


def test_a_reload_keeps_what_serves_the_same_end() -> None:
    first = make()
    first.mule_messages[2].send(b"text")
    second = make(first, workers=1, mules=3)
    assert second.mule_messages[:3] == first.mule_messages
    assert len(second.mule_messages) == 4
    assert second.worker_signals == first.worker_signals[:2]
    first.release(second)
    assert second.mule_messages[2].receive() == b"text"
    assert first.worker_signals[2].fileno() == -1
    second.close()


def test_without_mules_there_are_no_boxes_for_them() -> None:
    boxes = Mailboxes.create(workers=1, mules=0, farms=[], spoolers=False)
    assert not boxes.mule_messages and not boxes.spooler_signals
    assert boxes.farm("f") is None
