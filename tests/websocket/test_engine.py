"""One open websocket over a real socket: what arrives, what is sent, what ends it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import gevent
import gevent.select
import pytest

from geuwsgi.errors import LocalProtocolError
from geuwsgi.protocol.websocket import BINARY, CLOSE, PING, PONG, TEXT
from geuwsgi.server.websocket.closed import WebSocketClosed
from geuwsgi.server.websocket.settings import WebSocketSettings
from tests.protocol.websocket_frames import client_frame
from tests.websocket.peer import Ends, deflate_agreement, until


@pytest.fixture
def ends() -> Iterator[Ends]:
    with Ends() as made:
        yield made


def test_messages_both_ways(ends: Ends) -> None:
    ends.says(TEXT, "grüß".encode())
    ends.says(BINARY, b"\x00\xff")
    assert ends.websocket.recv() == "grüß".encode()
    assert ends.websocket.opcode == TEXT
    assert ends.websocket.recv() == b"\x00\xff"
    assert ends.websocket.opcode == BINARY
    ends.websocket.send(b"text")
    ends.websocket.send(b"\xff", BINARY)
    assert [ends.sees(), ends.sees()] == [(0x81, b"text"), (0x82, b"\xff")]


def test_receiving_waits_for_the_message(ends: Ends) -> None:
    receiving = gevent.spawn(ends.websocket.recv)
    gevent.sleep(0)
    assert not receiving.ready()
    frame = client_frame(TEXT, b"in pieces")
    ends.sock.sendall(frame[:7])
    gevent.sleep(0.001)
    assert not receiving.ready()
    ends.sock.sendall(frame[7:])
    assert receiving.get(timeout=5) == b"in pieces"


def test_bytes_behind_the_handshake_are_the_first_message() -> None:
    with Ends(received=client_frame(TEXT, b"early")) as ends:
        assert ends.websocket.recv_nowait() == b"early"
        assert ends.websocket.recv_nowait() is None


def test_a_ping_is_answered_with_its_payload(ends: Ends) -> None:
    ends.says(PING, b"abc")
    ends.says(PONG, b"unsolicited")
    ends.says(TEXT, b"m")
    assert ends.websocket.recv() == b"m"
    assert ends.sees() == (0x8A, b"abc")


def test_our_pings(ends: Ends) -> None:
    ends.websocket.ping(b"x" * 125)
    assert ends.sees() == (0x89, b"x" * 125)
    with pytest.raises(LocalProtocolError):
        ends.websocket.ping(b"x" * 126)


def test_the_peers_close_is_answered_and_told(ends: Ends) -> None:
    ends.says(CLOSE, b"\x0f\xa0enough")
    with pytest.raises(WebSocketClosed) as raised:
        ends.websocket.recv()
    assert (raised.value.code, raised.value.reason) == (4000, "enough")
    assert ends.sees() == (0x88, b"\x0f\xa0enough")
    assert ends.sees_end()
    assert not ends.websocket.is_open
    for call in (ends.websocket.recv, ends.websocket.recv_nowait, ends.websocket.ping):
        with pytest.raises(WebSocketClosed):
            call()
    with pytest.raises(WebSocketClosed):
        ends.websocket.send(b"late")


def test_a_close_without_a_code_is_answered_without_one(ends: Ends) -> None:
    ends.says(CLOSE)
    with pytest.raises(WebSocketClosed) as raised:
        ends.websocket.recv()
    assert raised.value.code == 1005
    assert ends.sees() == (0x88, b"")


def test_our_close_waits_for_the_peers(ends: Ends) -> None:
    receiving = gevent.spawn(receives_the_end, ends)
    gevent.sleep(0)
    ends.websocket.close(1012, "restart")
    ends.websocket.close(1000, "only the first counts")
    assert ends.sees() == (0x88, b"\x03\xf4restart")
    with pytest.raises(WebSocketClosed):
        ends.websocket.send(b"nothing follows a close frame")
    ends.says(TEXT, b"crossed our close frame")
    ends.says(PING, b"so did this")
    ends.says(CLOSE, b"\x03\xf4")
    assert receiving.get(timeout=5) == 1012
    assert ends.sees_end()


def test_a_code_that_may_not_be_sent_changes_nothing(ends: Ends) -> None:
    with pytest.raises(LocalProtocolError):
        ends.websocket.close(1006)
    assert ends.websocket.is_open


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (client_frame(TEXT, b"\xff"), 1007),
        (client_frame(TEXT, b"abc", mask=None), 1002),
        (client_frame(BINARY, length=101), 1009),
    ],
)
@pytest.mark.parametrize("nowait", [False, True])
def test_a_broken_frame_ends_the_websocket(
    frame: bytes, code: int, nowait: bool
) -> None:
    with Ends(WebSocketSettings(max_size=100)) as ends:
        ends.sock.sendall(frame)
        with pytest.raises(WebSocketClosed) as raised:
            if nowait:
                ends.websocket.recv_nowait()
            else:
                ends.websocket.recv()
        assert raised.value.code == code
        first, payload = ends.sees()
        assert first == 0x88
        assert int.from_bytes(payload[:2], "big") == code
        assert ends.sees_end()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_peer_that_vanishes_is_1006(ends: Ends, how: str) -> None:
    receiving = gevent.spawn(receives_the_end, ends)
    gevent.sleep(0)
    if how == "reset":
        ends.websocket.send(b"unread bytes make the close a reset")
    ends.sock.close()
    assert receiving.get(timeout=5) == 1006
    with pytest.raises(WebSocketClosed):
        ends.websocket.send(b"x")


# Greenlets


def sends(ends: Ends, messages: list[bytes]) -> None:
    for message in messages:
        ends.websocket.send(message)


def receives_the_end(ends: Ends) -> int:
    with pytest.raises(WebSocketClosed) as raised:
        ends.websocket.recv()
    return raised.value.code


def test_a_timeout_passes_through_and_the_websocket_goes_on(ends: Ends) -> None:
    for _ in range(3):
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.001):
            ends.websocket.recv()
    frame = client_frame(TEXT, b"still here")
    ends.sock.sendall(frame[:3])
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.001):
        ends.websocket.recv()
    ends.sock.sendall(frame[3:])
    assert ends.websocket.recv() == b"still here"


def test_a_killed_receiver_leaves_the_websocket_to_another(ends: Ends) -> None:
    first = gevent.spawn(ends.websocket.recv)
    gevent.sleep(0)
    first.kill()
    ends.says(TEXT, b"for the second")
    assert ends.websocket.recv() == b"for the second"


def test_a_second_receiver_fails_loudly(ends: Ends) -> None:
    first = gevent.spawn(ends.websocket.recv)
    gevent.sleep(0)
    with pytest.raises(LocalProtocolError):
        ends.websocket.recv()
    with pytest.raises(LocalProtocolError):
        ends.websocket.recv_nowait()
    with pytest.raises(LocalProtocolError):
        ends.websocket.recv(leave_rest=True)
    ends.says(TEXT, b"m")
    assert first.get(timeout=5) == b"m"


def test_many_greenlets_send_while_one_receives(ends: Ends) -> None:
    receiving = gevent.spawn(ends.websocket.recv)
    senders = [gevent.spawn(sends, ends, [b"%d" % n] * 20) for n in range(10)]
    seen = [ends.sees()[1] for _ in range(200)]
    gevent.joinall(senders, timeout=5, raise_error=True)
    assert sorted(seen) == sorted(b"%d" % n for n in range(10) for _ in range(20))
    ends.says(TEXT, b"m")
    assert receiving.get(timeout=5) == b"m"


# A slow reader


def fails_with_closed(ends: Ends, payload: bytes) -> None:
    with pytest.raises(WebSocketClosed):
        ends.websocket.send(payload)


def test_a_slow_reader_parks_its_senders_and_gets_every_frame_whole() -> None:
    with Ends(small_buffers=True) as ends:
        sizes = [100_000, 3, 50_000, 0, 200]
        senders = [
            gevent.spawn(ends.websocket.send, bytes([65 + n]) * size)
            for n, size in enumerate(sizes)
        ]
        gevent.sleep(0)
        assert not any(sender.ready() for sender in senders)
        seen = [ends.sees() for _ in sizes]
        gevent.joinall(senders, timeout=5, raise_error=True)
        assert seen == [(0x81, bytes([65 + n]) * size) for n, size in enumerate(sizes)]
        # And afterwards the quick way again.
        ends.websocket.send(b"quick")
        assert ends.sees() == (0x81, b"quick")


def test_a_sender_killed_in_the_middle_does_not_break_the_frames() -> None:
    with Ends(small_buffers=True) as ends:
        first = gevent.spawn(ends.websocket.send, b"A" * 100_000)
        second = gevent.spawn(ends.websocket.send, b"B" * 10)
        third = gevent.spawn(ends.websocket.send, b"C" * 10)
        gevent.sleep(0)
        second.kill()  # its frame was not begun
        first.kill()
        assert ends.sees() == (0x81, b"A" * 100_000)
        assert ends.sees() == (0x81, b"C" * 10)
        third.get(timeout=5)
        assert ends.sees_nothing()


def test_the_rest_of_a_killed_senders_frame_follows_with_the_tick() -> None:
    with Ends(small_buffers=True) as ends:
        sender = gevent.spawn(ends.websocket.send, b"A" * 100_000)
        gevent.sleep(0)
        sender.kill()
        seeing = gevent.spawn(ends.sees)
        while not seeing.ready():
            ends.tick()
            gevent.sleep(0.001)
        assert seeing.get() == (0x81, b"A" * 100_000)


def test_pongs_do_not_wait_for_a_slow_reader_and_only_the_last_is_kept() -> None:
    with Ends(small_buffers=True) as ends:
        sender = gevent.spawn(ends.websocket.send, b"A" * 50_000)
        gevent.sleep(0)
        for n in range(100):
            ends.says(PING, b"%d" % n)
        ends.says(TEXT, b"the reader was not held up")
        assert ends.websocket.recv() == b"the reader was not held up"
        assert ends.sees() == (0x81, b"A" * 50_000)
        assert ends.sees() == (0x8A, b"99")
        sender.get(timeout=5)
        assert ends.sees_nothing()


def test_a_pong_that_nobody_sends_goes_out_with_the_tick() -> None:
    with Ends(small_buffers=True) as ends:
        ends.websocket.push(b"\x82\x7e\xff\xff" + bytes(65535))
        ends.says(PING, b"p")
        assert ends.websocket.recv_nowait() is None
        assert ends.sees()[0] == 0x82
        while ends.sees_nothing():
            ends.tick()
            gevent.sleep(0.001)
        assert ends.sees() == (0x8A, b"p")


def test_a_close_goes_behind_the_frame_in_progress_and_before_all_others() -> None:
    with Ends(small_buffers=True) as ends:
        begun = gevent.spawn(ends.websocket.send, b"A" * 50_000)
        waiting = gevent.spawn(fails_with_closed, ends, b"B")
        gevent.sleep(0)
        ends.websocket.close(1001)
        assert ends.sees() == (0x81, b"A" * 50_000)
        assert ends.sees() == (0x88, b"\x03\xe9")
        begun.get(timeout=5)
        waiting.get(timeout=5)
        assert ends.sees_nothing()


def test_a_peer_that_reads_nothing_is_given_up() -> None:
    with Ends(WebSocketSettings(write_timeout=5.0), small_buffers=True) as ends:
        senders = [gevent.spawn(fails_with_closed, ends, b"A" * 100_000) for _ in "ab"]
        gevent.sleep(0)
        ends.tick(4)
        gevent.sleep(0)
        assert not senders[0].ready()
        ends.tick(2)
        gevent.joinall(senders, timeout=5, raise_error=True)
        assert all(sender.ready() for sender in senders)


def test_a_slow_peer_that_reads_a_little_is_not_given_up() -> None:
    with Ends(WebSocketSettings(write_timeout=9.0), small_buffers=True) as ends:
        sender = gevent.spawn(ends.websocket.send, b"A" * 60_000)
        gevent.sleep(0)
        got = 0
        while got < 60_004:
            got += len(ends.sock.recv(2048))
            gevent.sleep(0.001)
            ends.tick()
        sender.get(timeout=5)


# Broadcast frames


def test_pushed_frames_wait_for_a_slow_reader_in_order() -> None:
    with Ends(small_buffers=True) as ends:
        frames = [b"\x82\x7e\x27\x10" + bytes([n]) * 10_000 for n in range(20)]
        assert all(ends.websocket.push(frame) for frame in frames)
        seen = [ends.sees() for _ in range(20)]
        assert seen == [(0x82, bytes([n]) * 10_000) for n in range(20)]
        until(lambda: ends.websocket.push(b"\x81\x01x"))
        assert ends.sees() == (0x81, b"x")


def test_sent_messages_go_behind_what_was_pushed() -> None:
    with Ends(small_buffers=True) as ends:
        ends.websocket.push(b"\x82\x7e\xc3\x50" + b"A" * 50_000)
        ends.websocket.push(b"\x81\x01B")
        sender = gevent.spawn(ends.websocket.send, b"C")
        gevent.sleep(0)
        assert [ends.sees()[1] for _ in range(3)] == [b"A" * 50_000, b"B", b"C"]
        sender.get(timeout=5)


def test_a_peer_that_is_pushed_more_than_the_backlog_is_given_up() -> None:
    with Ends(small_buffers=True) as ends:
        frame = b"\x82\x7e\xff\xff" + bytes(65535)
        pushed = 0
        while ends.websocket.push(frame):
            pushed += 1
        assert 15 <= pushed <= 17
        assert not ends.websocket.push(b"\x81\x00")
        with pytest.raises(WebSocketClosed):
            ends.websocket.recv()
        gevent.sleep(0.001)


def test_pushing_to_a_closed_websocket_is_false(ends: Ends) -> None:
    ends.websocket.close()
    assert not ends.websocket.push(b"\x81\x00")


# recv_nowait and select


@pytest.mark.parametrize("leave_rest", [False, True])
def test_the_descriptor_stays_readable_while_messages_wait(leave_rest: bool) -> None:
    with Ends() as ends:
        ends.sock.sendall(
            b"".join(client_frame(TEXT, b"%d" % n) for n in range(5))
            + client_frame(TEXT, b"six")[:4]
        )
        for n in range(5):
            ready, _, _ = gevent.select.select([ends.stream.fileno()], [], [], 0)
            assert ready
            if leave_rest:
                message: bytes | None = ends.websocket.recv(leave_rest=True)
            else:
                message = ends.websocket.recv_nowait()
            assert message == b"%d" % n
        assert ends.websocket.recv_nowait() is None
        ends.sock.sendall(client_frame(TEXT, b"six")[4:])
        assert gevent.select.select([ends.stream.fileno()], [], [], 5)[0]
        assert ends.websocket.recv_nowait() == b"six"
        assert ends.websocket.recv_nowait() is None


def test_recv_nowait_sees_pings_fragments_and_the_end(ends: Ends) -> None:
    ends.says(TEXT, b"a" * 70_000, fin=False)
    ends.says(PING, b"p")
    assert ends.websocket.recv_nowait() is None
    ends.says(0, b"b")
    ends.says(CLOSE, b"\x03\xe8")
    assert ends.websocket.recv_nowait() == b"a" * 70_000 + b"b"
    with pytest.raises(WebSocketClosed):
        ends.websocket.recv_nowait()
    assert ends.sees() == (0x8A, b"p")
    assert ends.sees() == (0x88, b"\x03\xe8")


def test_recv_nowait_after_the_peer_vanished(ends: Ends) -> None:
    ends.sock.close()
    with pytest.raises(WebSocketClosed):
        ends.websocket.recv_nowait()


def test_recv_nowait_where_the_kernel_cannot_be_peeked_at() -> None:
    with Ends(peekable=False) as ends:
        assert ends.websocket.recv_nowait() is None
        frame = client_frame(TEXT, b"third")
        ends.sock.sendall(client_frame(TEXT, b"1") + client_frame(TEXT, b"2"))
        ends.sock.sendall(frame[:3])
        assert ends.websocket.recv_nowait() == b"1"
        assert ends.websocket.recv_nowait() == b"2"
        assert ends.websocket.recv_nowait() is None
        ends.sock.sendall(frame[3:] + client_frame(CLOSE))
        assert ends.websocket.recv(leave_rest=True) == b"third"
        with pytest.raises(WebSocketClosed):
            ends.websocket.recv_nowait()


# Time


def test_a_silent_peer_is_pinged_and_then_given_up() -> None:
    with Ends(WebSocketSettings(ping_after=5, pong_within=3)) as ends:
        receiving = gevent.spawn(receives_the_end, ends)
        gevent.sleep(0)
        ends.tick(4)
        assert ends.sees_nothing()
        ends.tick()
        assert ends.sees() == (0x89, b"")
        ends.tick(2)
        assert ends.websocket.is_open
        ends.tick()
        assert not ends.websocket.is_open
        assert receiving.get(timeout=5) == 1006
        assert ends.sees_end()


@pytest.mark.parametrize("receives", [True, False])
def test_a_peer_that_answers_is_kept(receives: bool) -> None:
    with Ends(WebSocketSettings(ping_after=3, pong_within=2)) as ends:
        receiving = gevent.spawn(ends.websocket.recv) if receives else None
        gevent.sleep(0)
        for _ in range(5):
            while ends.sees_nothing():
                ends.tick()
                gevent.sleep(0)
                assert ends.websocket.is_open
            assert ends.sees() == (0x89, b"")
            ends.says(PONG)
            gevent.sleep(0.001)
        assert ends.websocket.is_open
        if receiving is not None:
            receiving.kill()


def test_a_silent_peer_is_given_up_although_nobody_receives() -> None:
    with Ends(WebSocketSettings(ping_after=3, pong_within=2)) as ends:
        ends.says(TEXT, b"never read")
        ends.tick(20)
        assert not ends.websocket.is_open


def test_pings_can_be_turned_off() -> None:
    with Ends(WebSocketSettings(ping_after=0)) as ends:
        ends.tick(1000)
        assert ends.sees_nothing()
        assert ends.websocket.is_open


def test_a_close_that_is_never_answered_ends_in_time() -> None:
    with Ends(WebSocketSettings(close_within=2)) as ends:
        receiving = gevent.spawn(receives_the_end, ends)
        gevent.sleep(0)
        ends.websocket.close(1001)
        ends.tick(2)
        gevent.sleep(0)
        assert not receiving.ready()
        ends.tick()
        assert receiving.get(timeout=5) == 1001


# The end of the request


def test_finish_sends_a_close_and_waits_for_the_answer(ends: Ends) -> None:
    finishing = gevent.spawn(ends.websocket.finish, 1000)
    assert ends.sees() == (0x88, b"\x03\xe8")
    assert not finishing.ready()
    ends.says(TEXT, b"crossed")
    ends.says(CLOSE, b"\x03\xe8")
    assert ends.sees_end()
    ends.sock.close()
    finishing.get(timeout=5)
    assert ends.stream.closed


def test_finish_after_the_peers_close_only_closes_the_connection(ends: Ends) -> None:
    ends.says(CLOSE, b"\x03\xe8")
    with pytest.raises(WebSocketClosed):
        ends.websocket.recv()
    finishing = gevent.spawn(ends.websocket.finish, 1000)
    assert ends.sees() == (0x88, b"\x03\xe8")
    assert ends.sees_end()
    ends.sock.close()
    finishing.get(timeout=5)


def test_finish_gives_a_peer_that_does_not_answer_a_limit() -> None:
    with Ends(WebSocketSettings(close_within=2)) as ends:
        finishing = gevent.spawn(ends.websocket.finish, 1000)
        gevent.sleep(0)
        ends.tick(3)
        gevent.sleep(0.001)
        ends.tick(3)
        finishing.get(timeout=5)
        assert ends.stream.closed


def test_finish_ends_a_greenlet_that_was_left_receiving(ends: Ends) -> None:
    left = gevent.spawn(receives_the_end, ends)
    gevent.sleep(0)
    finishing = gevent.spawn(ends.websocket.finish, 1000)
    left.get(timeout=5)
    assert ends.sees() == (0x88, b"\x03\xe8")
    ends.says(CLOSE, b"\x03\xe8")
    ends.sock.shutdown(socket.SHUT_WR)
    finishing.get(timeout=5)


# Compression


@pytest.mark.parametrize("takeover", [False, True])
def test_long_messages_are_compressed_and_short_ones_are_not(takeover: bool) -> None:
    agreement = deflate_agreement(context_takeover=takeover, threshold=100)
    client = agreement.inflater()  # the same windows both ways
    with Ends(agreement=agreement) as ends:
        for n in range(3):
            text = b"%d words " % n * 50
            ends.websocket.send(text)
            first, payload = ends.sees()
            assert first == 0xC1
            assert len(payload) < 60
            assert client.decompress(payload, 1000) + client.finish(1000) == text
        ends.websocket.send(b"x" * 99)
        assert ends.sees() == (0x81, b"x" * 99)
        assert ends.websocket.window_bits_for(b"x" * 100) == 12
        assert ends.websocket.window_bits_for(b"x" * 99) == 0


def test_compressed_messages_of_many_senders_keep_their_context() -> None:
    agreement = deflate_agreement(context_takeover=True, threshold=1, level=0)
    client = agreement.inflater()
    with Ends(agreement=agreement, small_buffers=True) as ends:
        senders = [
            gevent.spawn(ends.websocket.send, bytes([65 + n]) * 5000) for n in range(9)
        ]
        gevent.sleep(0)
        senders[3].kill()
        seen = set()
        for _ in range(8):
            payload = ends.sees()[1]
            text = client.decompress(payload, 9999) + client.finish(9999)
            seen.add(text[:1])
        assert seen == set(b"ABCEFGHI"[n : n + 1] for n in range(8))
        gevent.joinall(senders, timeout=5)


def test_a_frame_compressed_elsewhere_does_not_break_the_context() -> None:
    agreement = deflate_agreement(context_takeover=True, threshold=1)
    client = agreement.inflater()
    with Ends(agreement=agreement) as ends:
        frames = []
        for text in (b"one two three " * 9, b"four five six " * 9, b"one two " * 9):
            ends.websocket.send(text)
            frames.append((ends.sees()[1], text))
            foreign = deflate_agreement(threshold=1).deflater().compress(text[::-1])
            ends.websocket.push(bytes((0xC1, len(foreign))) + foreign, compressed=True)
            frames.append((ends.sees()[1], text[::-1]))
        for payload, text in frames:
            assert client.decompress(payload, 999) + client.finish(999) == text


# Fairness


def test_a_flood_of_pings_is_not_answered_one_by_one(ends: Ends) -> None:
    ends.sock.sendall(b"".join(client_frame(PING, b"%d" % n) for n in range(1000)))
    ends.says(TEXT, b"m")
    assert ends.websocket.recv() == b"m"
    seen = []
    while not ends.sees_nothing():
        seen.append(ends.sees())
    assert seen[:64] == [(0x8A, b"%d" % n) for n in range(64)]
    assert len(seen) < 100


def test_a_flood_of_messages_lets_others_run(ends: Ends) -> None:
    ends.sock.sendall(client_frame(TEXT, b"x") * 1000)
    turns: list[int] = []

    def other() -> None:
        while True:
            turns.append(len(turns))
            gevent.sleep(0)

    running = gevent.spawn(other)
    for _ in range(1000):
        assert ends.websocket.recv() == b"x"
    running.kill()
    assert len(turns) > 10
