from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.http1 import (
    CHUNKED,
    EXPECT_CONTINUE,
    HTTP_1_0,
    KEEP_ALIVE,
    UPGRADE,
    HeadParser,
    remove_dot_segments,
)

CORPUS = Path(__file__).parent.parent / "corpus" / "http1"


def parse(head: str | bytes) -> tuple[dict[str, object], int, int]:
    if isinstance(head, str):
        head = head.replace("\n", "\r\n").encode("latin-1")
    environ: dict[str, object] = {}
    length, flags = HeadParser().parse(head, environ)
    return environ, length, flags


def refusal(head: str | bytes) -> int:
    with pytest.raises(RemoteProtocolError) as caught:
        parse(head)
    return caught.value.status


def get(target: str, *fields: str, version: str = "HTTP/1.1") -> str:
    return "\n".join([f"GET {target} {version}", "Host: a", *fields])


def test_a_request_becomes_an_environ() -> None:
    environ, length, flags = parse(
        "GET /a%20b/c?x=1&y HTTP/1.1\nHost: example.org:80\n"
        "User-Agent:curl\nX-Foo:  bar \t\nContent-Type: text/x"
    )
    assert environ == {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/a%20b/c?x=1&y",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "PATH_INFO": "/a b/c",
        "QUERY_STRING": "x=1&y",
        "HTTP_HOST": "example.org:80",
        "HTTP_USER_AGENT": "curl",
        "HTTP_X_FOO": "bar",
        "CONTENT_TYPE": "text/x",
    }
    assert (length, flags) == (0, KEEP_ALIVE)


def test_bytes_beyond_ascii_stay_latin_1() -> None:
    environ, _, _ = parse(get("/%C3%A9\xe9?\xff", "X: \xe9"))
    assert environ["PATH_INFO"] == "/\xc3\xa9\xe9"
    assert environ["QUERY_STRING"] == "\xff"
    assert environ["HTTP_X"] == "\xe9"


@pytest.mark.parametrize(
    ("fields", "version", "flags"),
    [
        ([], "HTTP/1.1", KEEP_ALIVE),
        (["Connection: close"], "HTTP/1.1", 0),
        (["Connection: Close"], "HTTP/1.1", 0),
        (["Connection: x, close"], "HTTP/1.1", 0),
        (["Connection: keep-alive, close"], "HTTP/1.1", 0),
        ([], "HTTP/1.0", HTTP_1_0),
        (["Connection: keep-alive"], "HTTP/1.0", HTTP_1_0 | KEEP_ALIVE),
        (
            ["Connection: keep-alive, Upgrade", "Upgrade: websocket"],
            "HTTP/1.1",
            KEEP_ALIVE | UPGRADE,
        ),
        (["Connection: Upgrade", "Upgrade: x"], "HTTP/1.0", HTTP_1_0),
        (["Connection: Upgrade"], "HTTP/1.1", KEEP_ALIVE),
        (["Upgrade: websocket"], "HTTP/1.1", KEEP_ALIVE),
        (["Expect: 100-Continue"], "HTTP/1.1", KEEP_ALIVE | EXPECT_CONTINUE),
        (["Expect: 100-continue"], "HTTP/1.0", HTTP_1_0),
    ],
)
def test_what_the_head_says_about_the_connection(
    fields: list[str], version: str, flags: int
) -> None:
    assert parse(get("/", *fields, version=version))[2] == flags


def test_a_request_with_a_length_announces_it() -> None:
    environ, length, _ = parse("POST / HTTP/1.1\nHost: a\nContent-Length: 012")
    assert length == 12
    assert environ["CONTENT_LENGTH"] == "012"


def test_a_chunked_request_has_no_coding_left_for_the_application() -> None:
    environ, length, _ = parse("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked")
    assert length == CHUNKED
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_the_authority_of_an_absolute_target_replaces_host() -> None:
    environ, _, _ = parse("GET http://real:81/p?q HTTP/1.1\nHost: false")
    assert environ["HTTP_HOST"] == "real:81"
    assert environ["PATH_INFO"] == "/p"
    assert environ["QUERY_STRING"] == "q"
    assert environ["REQUEST_URI"] == "http://real:81/p?q"
    assert parse("GET HTTP://a?q HTTP/1.1\nHost: a")[0]["PATH_INFO"] == "/"


def test_options_may_ask_for_the_server_itself() -> None:
    environ, _, _ = parse("OPTIONS * HTTP/1.1\nHost: a")
    assert environ["PATH_INFO"] == ""
    assert environ["REQUEST_URI"] == "*"
    assert refusal("GET * HTTP/1.1\nHost: a") == 400


def test_repeated_fields_are_joined() -> None:
    environ, _, _ = parse(
        get("/", "X: 1", "Cookie: a=1", "x: 2", "Cookie: b=2", "Y: 3", "X: 4")
    )
    assert environ["HTTP_X"] == "1, 2, 4"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_Y"] == "3"


def test_names_with_underscores_are_dropped() -> None:
    environ, _, _ = parse(get("/", "X_Real_IP: 6.6.6.6", "X-Real-IP: 1.1.1.1"))
    assert environ["HTTP_X_REAL_IP"] == "1.1.1.1"
    assert "HTTP_PROXY" not in parse(get("/", "Proxy: evil"))[0]


def test_dot_segments_are_resolved_before_decoding() -> None:
    assert parse(get("/a/./b/../c"))[0]["PATH_INFO"] == "/a/c"
    assert parse(get("/a/%2e%2e/c"))[0]["PATH_INFO"] == "/a/../c"
    assert remove_dot_segments("/../../etc") == "/etc"
    assert remove_dot_segments("/a/..") == "/"
    assert remove_dot_segments("/a/.") == "/a/"
    assert remove_dot_segments("/a//b/../c") == "/a//c"
    assert remove_dot_segments("/.hidden/..x") == "/.hidden/..x"


def test_unknown_methods_are_the_applications_business() -> None:
    environ, _, _ = parse("BREW /pot HTTP/1.1\nHost: a")
    assert environ["REQUEST_METHOD"] == "BREW"


def test_an_http_1_0_request_needs_no_host() -> None:
    assert "HTTP_HOST" not in parse("GET / HTTP/1.0")[0]


@pytest.mark.parametrize("host", ["a", "a:80", "[::1]:80", "[::1]", "", "1.2.3.4:"])
def test_hosts_that_are_legal(host: str) -> None:
    assert parse(f"GET / HTTP/1.1\nHost: {host}")[0]["HTTP_HOST"] == host


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "[::1", "a:b", "a,b c", "\xe9"])
def test_hosts_that_are_not(host: str) -> None:
    assert refusal(f"GET / HTTP/1.1\nHost: {host}") == 400


def test_too_many_fields_are_431() -> None:
    fields = [f"X-{number}: 1" for number in range(300)]
    assert refusal(get("/", *fields)) == 431


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("+1", 400),
        ("-1", 400),
        ("1 2", 400),
        ("1, 1", 400),
        ("0x1", 400),
        ("", 400),
        ("1_0", 400),
        ("²", 400),
        ("9" * 40, 400),
    ],
)
def test_lengths_that_are_not_plain_digits(length: str, status: int) -> None:
    assert refusal(f"POST / HTTP/1.1\nHost: a\nContent-Length: {length}") == status


@pytest.mark.parametrize(
    ("coding", "status"),
    [
        ("gzip, chunked", 501),
        ("gzip", 400),
        ("identity", 400),
        ("chunked, chunked", 400),
        ("chunked, gzip", 400),
        ("x chunked", 400),
        ("chunked;x=1", 400),
        ("\x0bchunked", 400),
        ("", 400),
    ],
)
def test_transfer_codings_other_than_chunked(coding: str, status: int) -> None:
    assert refusal(f"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: {coding}") == status


def hostile_heads() -> list[Path]:
    return sorted(CORPUS.glob("*.http"))


@pytest.mark.parametrize("path", hostile_heads(), ids=lambda path: path.stem)
def test_every_hostile_head_is_refused(path: Path) -> None:
    # The name of a file ends with the status to answer: name.400.http
    status = int(path.stem.rpartition(".")[2])
    assert refusal(path.read_bytes()) == status


def test_the_corpus_is_there() -> None:
    assert len(hostile_heads()) >= 40


def test_a_request_line_alone_is_enough_when_the_fields_are_known() -> None:
    parser = HeadParser()
    environ: dict[str, object] = {"HTTP_HOST": "a"}
    assert parser.parse_line(b"GET /x?y HTTP/1.1", environ)
    assert environ["PATH_INFO"] == "/x"
    assert environ["QUERY_STRING"] == "y"
    assert not parser.parse_line(b"GET /x HTTP/1.0", dict(environ))
    assert not parser.parse_line(b"GET http://b/x HTTP/1.1", dict(environ))
    with pytest.raises(RemoteProtocolError):
        parser.parse_line(b"GET /x\nHost: b HTTP/1.1", environ)


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(head: bytes) -> None:
    try:
        environ, length, flags = parse(head)
    except RemoteProtocolError as error:
        assert error.status in (400, 417, 431, 501, 505)
    else:
        assert length >= CHUNKED
        assert 0 <= flags < 16
        assert isinstance(environ["PATH_INFO"], str)


_TOKEN = st.text("abcXYZ-09!", min_size=1, max_size=8)
_VALUE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"),
    max_size=12,
)


@given(st.dictionaries(_TOKEN.map(str.lower), _VALUE, max_size=8))
def test_every_legal_field_reaches_the_environ(fields: dict[str, str]) -> None:
    reserved = {"host", "connection", "expect", "te", "proxy", "content-type"}
    fields = {
        name: value
        for name, value in fields.items()
        if name not in reserved and not name.startswith(("content", "transfer"))
    }
    environ, _, _ = parse(get("/", *(f"{name}: {v}" for name, v in fields.items())))
    for name, value in fields.items():
        assert environ["HTTP_" + name.upper().replace("-", "_")] == value
