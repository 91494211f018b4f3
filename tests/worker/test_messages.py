from __future__ import annotations

from collections.abc import Callable

import pytest

from geuwsgi.worker.messages import MAX_BODY, ChannelError, Decoder, Kind, encode

Cut = Callable[[bytes], list[bytes]]


def test_messages_come_out_as_they_went_in(cut: Cut) -> None:
    frames = (
        encode(Kind.HELLO, pid=12)
        + encode(Kind.READY)
        + encode(Kind.MULE, bytes(range(256)))
        + encode(Kind.DRAIN, reason="größer", deadline_s=1.5)
    )
    decoder = Decoder()
    messages = [message for piece in cut(frames) for message in decoder.feed(piece)]
    assert [message.kind for message in messages] == [
        Kind.HELLO,
        Kind.READY,
        Kind.MULE,
        Kind.DRAIN,
    ]
    assert messages[0].fields() == {"pid": 12}
    assert messages[1].fields() == {}
    assert messages[2].body == bytes(range(256))
    assert messages[3].fields() == {"reason": "größer", "deadline_s": 1.5}


def test_half_a_frame_is_not_a_message_yet() -> None:
    decoder = Decoder()
    assert decoder.feed(encode(Kind.HELLO, pid=1)[:-1]) == []
    assert len(decoder.feed(b"}")) == 1


def test_an_unknown_kind_ends_the_channel() -> None:
    with pytest.raises(ChannelError, match="unknown kind of message: 255"):
        Decoder().feed(b"\0\0\0\0\xff")


def test_an_absurd_length_is_refused_before_it_is_buffered() -> None:
    with pytest.raises(ChannelError, match="over"):
        Decoder().feed(b"\xff\xff\xff\xff\x01")
    with pytest.raises(ValueError, match="over"):
        encode(Kind.MULE, bytes(MAX_BODY + 1))


@pytest.mark.parametrize("body", [b"{", b"[1]", b"7", b"\xff"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    (message,) = Decoder().feed(encode(Kind.HELLO, body))
    with pytest.raises(ChannelError, match="malformed body of a HELLO message"):
        message.fields()
