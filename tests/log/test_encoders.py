"""What is made of lines before they are written; expectations seen in uWSGI."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import ConfigError
from geuwsgi.log.encoders import chain, compile_encoder

LINE = b"a message\n"


def encoded(text: str, line: bytes = LINE) -> bytes:
    return compile_encoder(text, lambda: 1795637509.786373).encode(line)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("prefix [p] ", b"[p] a message\n"),
        ("suffix  [s]", b"a message\n [s]"),
        ("nl", b"a message\n\n"),
        ("format [${unix}] ${msg}", b"[1795637509] a message"),
        ("format ${millis} ${micros}", b"1795637509786 1795637509786373"),
        ("format ${msg}|${msgnl}|${nope}|", b"a message|a message\n||"),
        ("format 100% ${msg} {} %s", b"100% a message {} %s"),
        ('json {"m":"${msg}"}', b'{"m":"a message"}'),
        ('json {"m":"${msgnl}"}', b'{"m":"a message\\n"}'),
    ],
)
def test_every_encoder(text: str, result: bytes) -> None:
    assert encoded(text) == result


def test_dates_are_in_the_format_that_is_asked_for() -> None:
    assert encoded("format ${strftime:%Y}") == b"2026"


def test_compressed_lines_are_members_of_their_own() -> None:
    assert gzip.decompress(encoded("gzip") * 2) == LINE * 2
    assert zlib.decompress(encoded("compress")) == LINE


@given(st.binary())
def test_json_can_be_parsed_whatever_the_message(message: bytes) -> None:
    line = encoded('json {"m":"${msg}"}', message + b"\n")
    assert json.loads(line) == {"m": message.decode("utf-8", "replace")}


def test_encoders_follow_each_other_in_their_order() -> None:
    encoders = [
        compile_encoder(text) for text in ("prefix A ", "suffix  B", "nl", "nl:other")
    ]
    encode = chain(encoders, "")
    assert encode is not None
    assert encode(LINE) == b"A a message\n B\n"


def test_an_encoder_with_an_id_is_for_that_logger() -> None:
    encoders = [compile_encoder("prefix:one A "), compile_encoder("prefix B ")]
    one = chain(encoders, "one")
    others = chain(encoders[:1], "")
    assert one is not None
    assert one(LINE) == b"B A a message\n"
    assert others is None


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_encoder("msgpack x")
    assert str(caught.value) == (
        'log encoder "msgpack" not found (known: compress, format, gzip, json, nl,'
        " prefix, suffix)"
    )
