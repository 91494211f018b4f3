"""The compiled reader of uwsgi variables says what the interpreted one says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import uwsgi

if TYPE_CHECKING:
    from geuwsgi.protocol._fields import VarsReader

fields = pytest.importorskip(
    "geuwsgi.protocol._fields", reason="geuwsgi was installed without compiling"
)

DEFAULTS: dict[str, object] = {"PATH_INFO": "", "SERVER_PORT": "80"}
WORKER: dict[str, object] = {"wsgi.version": (1, 0), "uwsgi.core": 0}
NAMES = [b"PATH_INFO", b"HTTP_HOST", b"CONTENT_LENGTH", b"HTTPS", b"wsgi.version", b"X"]


def reader() -> VarsReader:
    taught: VarsReader = fields.VarsReader(
        {**DEFAULTS, **WORKER}, WORKER, ["HTTPS"], ["CONTENT_LENGTH"], ["HTTP_HOST"]
    )
    return taught


def slowly(block: bytes) -> tuple[dict[str, object], int] | None:
    environ = dict(DEFAULTS)
    try:
        count = uwsgi.decode_vars(block, environ)
    except RemoteProtocolError:
        return None
    environ.update(WORKER)
    return environ, count


def quickly(taught: VarsReader, block: bytes) -> tuple[dict[str, object], int] | None:
    packet = uwsgi.encode_packet(0, block) + b"and a body"
    environ = taught.read(packet, 4, 4 + len(block))
    return None if environ is None else (environ, taught.count)


def block_of(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(
        len(item).to_bytes(2, "little") + item for pair in pairs for item in pair
    )


PAIRS = st.lists(
    st.tuples(
        st.sampled_from(NAMES) | st.binary(max_size=20),
        st.sampled_from([b"", b"a.example", b"\xe9", b"z" * 300]) | st.binary(),
    ),
    max_size=12,
)


@given(st.lists(PAIRS, max_size=4))
def test_both_read_the_same(requests: list[list[tuple[bytes, bytes]]]) -> None:
    taught = reader()
    # Twice, so that what it has kept is read as well.
    for pairs in requests * 2:
        block = block_of(pairs)
        assert quickly(taught, block) == slowly(block)


@given(st.binary(max_size=60))
def test_both_refuse_the_same(block: bytes) -> None:
    assert quickly(reader(), block) == slowly(block)


@given(PAIRS, st.data())
def test_a_block_cut_anywhere_is_read_as_the_other_does(
    pairs: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    block = block_of(pairs)
    cut = block[: data.draw(st.integers(0, len(block)))]
    assert quickly(reader(), cut) == slowly(cut)


def test_nothing_behind_the_packet_is_read() -> None:
    packet = uwsgi.encode_packet(0, block_of([(b"A", b"1")]))
    assert reader().read(packet, 4, len(packet) + 1) is None


def test_no_variable_replaces_a_key_of_the_worker() -> None:
    read = quickly(reader(), block_of([(b"wsgi.version", b"2"), (b"A", b"1")]))
    assert read == ({**DEFAULTS, **WORKER, "A": "1"}, 2)


def test_environs_are_of_their_own() -> None:
    taught = reader()
    first = quickly(taught, block_of([(b"A", b"1")]))
    assert first is not None
    first[0]["PATH_INFO"] = "/changed"
    second = quickly(taught, block_of([]))
    assert second == ({**DEFAULTS, **WORKER}, 0)


@pytest.mark.parametrize(
    ("pairs", "special"),
    [
        ([(b"HTTPS", b"on")], True),
        ([(b"HTTPS", b"")], True),
        ([(b"CONTENT_LENGTH", b"")], False),
        ([(b"CONTENT_LENGTH", b"0")], True),
        ([(b"A", b"1"), (b"HTTP_HOST", b"a")], False),
    ],
)
def test_it_tells_what_decides_something(
    pairs: list[tuple[bytes, bytes]], special: bool
) -> None:
    taught = reader()
    for _ in range(2):
        assert quickly(taught, block_of(pairs)) is not None
        assert taught.has_special is special


def test_values_that_repeat_are_shared() -> None:
    taught = reader()
    block = block_of([(b"HTTP_HOST", b"a.example")])
    first, second = quickly(taught, block), quickly(taught, block)
    assert first is not None
    assert second is not None
    assert first[0]["HTTP_HOST"] is second[0]["HTTP_HOST"]


def test_a_very_long_name_is_left_to_the_other() -> None:
    assert quickly(reader(), block_of([(b"N" * 200, b"1")])) is None


def test_more_names_than_it_keeps_are_read() -> None:
    taught = reader()
    for number in range(3000):
        name = b"HTTP_X_%d" % number
        read = quickly(taught, block_of([(name, b"1"), (b"HTTP_HOST", name)]))
        assert read is not None
        assert read[0][name.decode()] == "1"
        assert read[0]["HTTP_HOST"] == name.decode()
