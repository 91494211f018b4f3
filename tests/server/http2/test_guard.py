"""Frames that are too long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.server.http2.guard import MAX_FRAME, PREFACE, FrameGuard


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
