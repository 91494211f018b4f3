"""Frames that are too long, or too many."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.server.http2.guard import MAX_FRAME, PREFACE, FrameError, FrameGuard


def frame(length: int) -> bytes:
    return length.to_bytes(3, "big") + b"\0\0\0\0\0\1" + b"\xff" * length


def test_frames_up_to_the_limit_pass(cut: Callable[[bytes], list[bytes]]) -> None:
    guard = FrameGuard()
    for piece in cut(PREFACE + frame(0) + frame(300) + frame(0) + frame(1)):
        guard.look(piece)
    for piece in cut(frame(MAX_FRAME)):
        guard.look(piece)


def test_a_longer_frame_is_seen_by_its_header(
    cut: Callable[[bytes], list[bytes]],
) -> None:
    guard = FrameGuard()
    with pytest.raises(RemoteProtocolError, match="16385 bytes"):
        for piece in cut(PREFACE + frame(5) + frame(MAX_FRAME + 1)[:9]):
            guard.look(piece)


PING = b"\0\0\x08\6\0\0\0\0\0" + bytes(8)


def test_frames_that_ask_for_nothing_may_come_now_and_then() -> None:
    guard = FrameGuard()
    guard.look(PREFACE)
    for second in range(20):
        guard.look(PING * 900, float(second))
    with pytest.raises(FrameError, match="ask for nothing") as caught:
        guard.look(PING * 7000, 20.0)
    assert caught.value.code == 0xB


def test_who_takes_an_answer_may_say_so() -> None:
    guard = FrameGuard()
    guard.look(PREFACE)
    update = b"\0\0\4\x08\0\0\0\0\1" + b"\0\0\x40\0"
    for _ in range(20_000):
        guard.taken(16384)
        guard.look(update * 2)


def test_data_costs_nothing_unless_it_is_little() -> None:
    guard = FrameGuard()
    guard.look(PREFACE)
    for _ in range(20_000):
        guard.look(frame(600))
    with pytest.raises(FrameError):
        guard.look(frame(1) * 20_000)


def test_it_is_known_what_has_begun_and_not_ended() -> None:
    guard = FrameGuard()
    assert guard.is_within  # the preface
    guard.look(PREFACE)
    assert not guard.is_within
    guard.look(PING[:5])
    assert guard.is_within
    guard.look(PING[5:])
    assert not guard.is_within
    guard.look(b"\0\0\0\1\0\0\0\0\1")  # HEADERS that go on
    guard.look(b"\0\0\0\x09\0\0\0\0\1")
    assert guard.is_within
    guard.look(b"\0\0\0\x09\4\0\0\0\1")
    assert not guard.is_within
