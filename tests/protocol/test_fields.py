"""The compiled reader of fields says what the interpreted parser says, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import http1

if TYPE_CHECKING:
    from geuwsgi.protocol._fields import FieldReader

fields = pytest.importorskip(
    "geuwsgi.protocol._fields", reason="geuwsgi was installed without compiling"
)

LINE = b"GET / HTTP/1.1\r\n"
NAMES = {
    b"Host": "HTTP_HOST",
    b"Cookie": "HTTP_COOKIE",
    b"cookie": "HTTP_COOKIE",
    b"Accept": "HTTP_ACCEPT",
    b"Content-Length": "CONTENT_LENGTH",
    b"X_Odd": "",
}


def reader() -> FieldReader:
    taught: FieldReader = fields.FieldReader()
    for name, key in NAMES.items():
        taught.learn(name, key, key == "HTTP_ACCEPT")
    return taught


def read(head: bytes, *, most: int = 100) -> tuple[int, dict[str, object]]:
    environ: dict[str, object] = {}
    done = reader().read(head, len(LINE), environ, most)
    return done, environ


def test_known_fields_are_read_and_values_stripped() -> None:
    head = LINE + b"Host: a.example\r\nAccept:  text/html \r\nCookie:a=\xe9"
    assert read(head) == (
        1,
        {
            "HTTP_HOST": "a.example",
            "HTTP_ACCEPT": "text/html",
            "HTTP_COOKIE": "a=\xe9",
        },
    )


def test_a_dropped_field_leaves_nothing() -> None:
    assert read(LINE + b"Host: a\r\nX_Odd: 1") == (1, {"HTTP_HOST": "a"})


def test_a_name_that_was_not_taught_is_told_and_nothing_touched() -> None:
    assert read(LINE + b"Host: a\r\nX-New: 1") == (-1, {})


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: a\r\nHost: b",
        b"Cookie: a\r\ncookie: b",
        b"Accept: a\r\nHost: b\r\nAccept: a",
        b"Host: a\rb",
        b"Host: a\nAccept: b",
        b"Host: a\r\n folded",
        b"Host: a\x00b",
        b"Host: a\x7fb",
        b"Host: tab\there",
        b"no colon",
        b"Host: a\r\n\r\nAccept: b",
        b"Host: a\r",
    ],
)
def test_what_is_not_plain_is_left_to_the_parser(lines: bytes) -> None:
    assert read(LINE + lines) == (0, {})


def test_more_fields_than_allowed_are_left_to_the_parser() -> None:
    assert read(LINE + b"Host: a\r\nAccept: b", most=1) == (0, {})


def test_names_that_push_each_other_out_are_learned_again() -> None:
    parser = http1.HeadParser(max_fields=100)
    for number in range(3000):
        head = LINE + b"Host: a\r\nX-Field-%d: v%d" % (number, number)
        for _ in range(2):
            environ: dict[str, object] = {}
            parser.parse(head, environ)
            assert environ[f"HTTP_X_FIELD_{number}"] == f"v{number}"


def test_steady_lines_share_their_strings() -> None:
    taught = reader()
    seen = []
    for _ in range(2):
        environ: dict[str, object] = {}
        assert taught.read(LINE + b"Accept: text/html", len(LINE), environ, 9) == 1
        seen.append(environ["HTTP_ACCEPT"])
    assert seen[0] is seen[1]


def test_lines_pushed_out_while_a_head_is_read_stay_valid() -> None:
    taught = reader()
    for number in range(30_000):
        environ: dict[str, object] = {}
        head = LINE + b"Accept: %d\r\nHost: %d\r\nCookie: x" % (number, number % 7)
        assert taught.read(head, len(LINE), environ, 9) == 1
        assert environ == {
            "HTTP_ACCEPT": str(number),
            "HTTP_HOST": str(number % 7),
            "HTTP_COOKIE": "x",
        }


def parse(parser: http1.HeadParser, head: bytes) -> object:
    environ: dict[str, object] = {}
    try:
        return parser.parse(head, environ), environ
    except RemoteProtocolError as error:
        return error.status


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    b"Host: a.example",
                    b"Accept: */*",
                    b"accept: text/html",
                    b"Cookie: a=1",
                    b"cookie: b=2",
                    b"Content-Length: 5",
                    b"Content-length: 5",
                    b"Transfer-Encoding: chunked",
                    b"Content_Length: 5",
                    b"Connection: close",
                    b"Expect: 100-continue",
                ]
            ),
            st.tuples(
                st.sampled_from(
                    [b"Host", b"Accept", b"X-A", b"x-a", b"X_A", b"X A", b""]
                ),
                st.sampled_from([b":", b": ", b" :", b":\t", b""]),
                st.binary(max_size=20),
            ).map(b"".join),
        ),
        max_size=8,
    )
)
def test_a_head_means_the_same_to_both(lines: list[bytes]) -> None:
    head = LINE + b"\r\n".join(lines) if lines else LINE[:-2]
    interpreted = http1.HeadParser()
    interpreted._reader = None
    compiled = http1.HeadParser()
    expected = parse(interpreted, head)
    # Not known, known, and with lines that are known.
    for _ in range(3):
        assert parse(compiled, head) == expected


@given(
    st.tuples(
        st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"get", b"GET ", b""]),
        st.lists(
            st.one_of(
                st.sampled_from(
                    [b"/", b"a", b"?", b"%", b"%41", b"/.", b"/../", b"#", b" ", b"."]
                ),
                st.binary(max_size=3),
            ),
            max_size=6,
        ).map(b"".join),
        st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"http/1.1", b""]),
    ).map(b" ".join)
)
def test_a_request_line_means_the_same_to_both(line: bytes) -> None:
    head = line + b"\r\nHost: a.example"
    interpreted = http1.HeadParser()
    interpreted._reader = None
    expected = parse(interpreted, head)
    assert parse(http1.HeadParser(), head) == expected
