from __future__ import annotations

import os
import socket

from geuwsgi.shared.handovers import Handover, Handovers


def test_a_connection_arrives_with_what_was_read() -> None:
    boxes = Handovers.create(2)
    ours, theirs = socket.socketpair()
    peer = {"REMOTE_ADDR": "10.0.0.1", "REMOTE_PORT": "4711"}
    assert boxes.send(2, Handover(ours.fileno(), 1, peer, b"GET / HTTP/1.1\r\n"))
    ours.close()
    assert boxes.receive(1) is None
    arrived = boxes.receive(2)
    assert arrived is not None
    assert (arrived.listener, arrived.peer) == (1, peer)
    assert arrived.received == b"GET / HTTP/1.1\r\n"
    with socket.socket(fileno=arrived.fd) as adopted:
        adopted.send(b"answer")
        assert theirs.recv(10) == b"answer"
    theirs.close()
    boxes.close()


def test_a_worker_that_does_not_exist_gets_nothing() -> None:
    boxes = Handovers.create(1)
    for worker in (0, 2, -1):
        assert not boxes.send(worker, Handover(0, 0, {}, b""))
    boxes.close()


def test_a_full_box_refuses() -> None:
    boxes = Handovers.create(1)
    ours, theirs = socket.socketpair()
    sent = 0
    while boxes.send(1, Handover(ours.fileno(), 0, {}, b"x" * 60_000)):
        sent += 1
        assert sent < 100_000
    assert sent
    before = len(os.listdir("/proc/self/fd"))
    boxes.close()
    # What nobody took out is closed with the box.
    assert len(os.listdir("/proc/self/fd")) <= before
    ours.close()
    theirs.close()


def test_another_process_uses_the_same_descriptors() -> None:
    boxes = Handovers.create(1)
    copy = Handovers.from_wire(
        [[os.dup(fd) for fd in pair] for pair in boxes.to_wire()]
    )
    ours, theirs = socket.socketpair()
    assert boxes.send(1, Handover(ours.fileno(), 0, {}, b"abc"))
    arrived = copy.receive(1)
    assert arrived is not None
    assert arrived.received == b"abc"
    os.close(arrived.fd)
    for end in (ours, theirs):
        end.close()
    copy.close()
    boxes.close()
