from __future__ import annotations

import struct

import pytest

from geuwsgi.testing.packet import encode_packet, encode_vars, web_server_vars


def test_a_packet_is_a_little_endian_head_and_length_prefixed_pairs() -> None:
    packet = encode_packet({"A": "bc", "D": ""}, modifier1=1, modifier2=2)
    assert packet == b"\x01\x0c\x00\x02" + b"\x01\x00A\x02\x00bc" + b"\x01\x00D\x00\x00"


def test_repeated_names_stay_repeated() -> None:
    assert encode_vars([("A", "1"), ("A", "2")]).count(b"\x01\x00A") == 2


def test_a_block_that_a_packet_cannot_say_is_an_error() -> None:
    with pytest.raises(struct.error):
        encode_packet({"A": "x" * 65535})


def test_the_variables_are_those_of_the_stock_nginx() -> None:
    variables = web_server_vars(
        "/a?b=c", method="POST", headers={"X-Real-Ip": "9"}, body=b"12"
    )
    assert variables["PATH_INFO"] == "/a"
    assert variables["QUERY_STRING"] == "b=c"
    assert variables["REQUEST_URI"] == "/a?b=c"
    assert variables["CONTENT_LENGTH"] == "2"
    assert variables["HTTP_X_REAL_IP"] == "9"
    assert "SCRIPT_NAME" not in variables
