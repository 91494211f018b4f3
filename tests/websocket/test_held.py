"""Answers to messages that came together, which may leave together."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import gevent
import pytest

from geuwsgi.protocol.websocket import PING, TEXT, encode_frame
from geuwsgi.server.websocket.closed import WebSocketClosed
from tests.protocol.websocket_frames import client_frame
from tests.websocket.peer import Ends


@pytest.fixture
def ends() -> Iterator[Ends]:
    with Ends() as made:
        yield made


def numbered(count: int) -> bytes:
    return b"".join(client_frame(TEXT, b"%d" % number) for number in range(count))


def at_once(ends: Ends) -> bytes:
    """What the peer has received by now, without anybody else running."""
    try:
        return os.read(ends.sock.fileno(), 65536)
    except BlockingIOError:
        return b""


def test_answers_to_messages_that_came_together_are_all_there_in_order(
    ends: Ends,
) -> None:
    def echo() -> None:
        for _ in range(300):
            ends.websocket.send(ends.websocket.recv())

    ends.sock.sendall(numbered(300))
    echoing = gevent.spawn(echo)
    assert [ends.sees() for _ in range(300)] == [
        (0x81, b"%d" % number) for number in range(300)
    ]
    echoing.get(timeout=5)


def test_the_last_answer_leaves_with_the_send(ends: Ends) -> None:
    ends.sock.sendall(numbered(3))
    for _ in range(3):
        ends.websocket.send(ends.websocket.recv())
    assert at_once(ends) == b"\x81\x010\x81\x011\x81\x012"


def test_an_answer_does_not_wait_while_the_greenlet_waits(ends: Ends) -> None:
    ends.sock.sendall(numbered(2))
    ends.websocket.send(ends.websocket.recv())
    assert ends.websocket.recv() == b"1"
    gevent.sleep(0)
    assert at_once(ends) == b"\x81\x010"


def test_nothing_is_held_while_each_message_takes_long(ends: Ends) -> None:
    ends.sock.sendall(numbered(3))
    for sent in (b"\x81\x010", b"\x81\x011"):
        message = ends.websocket.recv()
        until = time.monotonic() + 0.001
        while time.monotonic() < until:
            pass
        ends.websocket.send(message)
        assert at_once(ends) == sent


def test_the_next_message_lets_an_old_answer_go(ends: Ends) -> None:
    ends.sock.sendall(numbered(3))
    ends.websocket.send(ends.websocket.recv())
    until = time.monotonic() + 0.001
    while time.monotonic() < until:
        pass
    ends.websocket.recv()
    assert at_once(ends) == b"\x81\x010"


def test_a_pong_does_not_overtake_an_answer(ends: Ends) -> None:
    ends.sock.sendall(numbered(2) + client_frame(PING, b"p") + client_frame(TEXT, b"2"))
    for _ in range(3):
        ends.websocket.send(ends.websocket.recv())
    assert at_once(ends) == b"\x81\x010\x81\x011\x8a\x01p\x81\x012"


def test_what_others_send_does_not_overtake_an_answer(ends: Ends) -> None:
    ends.sock.sendall(numbered(2))
    ends.websocket.send(ends.websocket.recv())
    ends.websocket.push(encode_frame(TEXT, b"to all"))
    ends.websocket.send(ends.websocket.recv())
    ends.websocket.ping(b"?")
    ends.websocket.close(4000)
    assert [ends.sees() for _ in range(5)] == [
        (0x81, b"0"),
        (0x81, b"to all"),
        (0x81, b"1"),
        (0x89, b"?"),
        (0x88, b"\x0f\xa0"),
    ]


def test_a_long_answer_follows_the_short_ones(ends: Ends) -> None:
    ends.sock.sendall(numbered(3))
    for answer in (b"short", b"long" * 1000, b"short"):
        ends.websocket.recv()
        ends.websocket.send(answer)
    assert [ends.sees()[1] for _ in range(3)] == [b"short", b"long" * 1000, b"short"]


def test_answers_reach_a_peer_that_reads_late() -> None:
    with Ends(small_buffers=True) as ends:
        answers = [b"%d" % number * 300 for number in range(400)]

        def answer() -> None:
            for text in answers:
                ends.websocket.recv()
                ends.websocket.send(text)

        answering = gevent.spawn(answer)
        asking = gevent.spawn(ends.sock.sendall, numbered(400))
        gevent.sleep(0.01)
        assert [ends.sees()[1] for _ in answers] == answers
        answering.get(timeout=5)
        asking.get(timeout=5)


def test_an_answer_to_a_peer_that_left_is_no_error_of_the_loop(ends: Ends) -> None:
    ends.sock.sendall(numbered(2))
    ends.websocket.send(ends.websocket.recv())
    ends.sock.close()
    gevent.sleep(0)
    with pytest.raises(WebSocketClosed):
        while True:
            ends.websocket.send(ends.websocket.recv())
