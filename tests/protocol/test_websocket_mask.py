"""Both ways to unmask, against the definition."""

from __future__ import annotations

import os

import pytest

from geuwsgi.protocol.websocket_mask import unmask, unmask_in_python, unmask_part


@pytest.mark.parametrize("size", [*range(9), 125, 2047, 2048, 2049, 2050, 2051, 70_001])
@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\0\x01\x80", b"\x12\x34\x56\x78"])
def test_unmasking_is_xor_with_the_repeated_mask(size: int, mask: bytes) -> None:
    payload = os.urandom(size)
    expected = bytes(b ^ mask[i & 3] for i, b in enumerate(payload))
    assert unmask_in_python(payload, mask) == expected
    assert unmask(payload, mask) == expected
    assert type(unmask(payload, mask)) is bytes


@pytest.mark.parametrize("size", [*range(9), 31, 32, 33, 40, 71, 70_001])
@pytest.mark.parametrize("start", [0, 1, 6, 14])
def test_a_part_is_unmasked_where_it_stands(size: int, start: int) -> None:
    octets = os.urandom(start + size + 3)
    mask = b"\x12\x34\x56\x78"
    expected = bytes(
        b ^ mask[i & 3] for i, b in enumerate(octets[start : start + size])
    )
    assert unmask_part(octets, start, start + size, mask) == expected
