from __future__ import annotations

from typing import Any

import pytest

from geuwsgi.errors import LocalProtocolError
from geuwsgi.wsgi.response import HeadRenderer, RenderedHead, reason_phrase


def render(headers: Any, status: Any = "200 OK") -> RenderedHead:
    return HeadRenderer().render(status, headers)


def test_fields_are_rendered_in_order() -> None:
    head = render([("A", "1"), ("b-C", "x y"), ("A", "2")])
    assert head.start == b"HTTP/1.1 200 OK\r\nA: 1\r\nb-C: x y\r\nA: 2\r\n"
    assert head.count == 3


def test_a_content_length_is_kept_apart() -> None:
    head = render([("content-length", "12"), ("X", "y")])
    assert head.content_length == 12
    assert head.start == b"HTTP/1.1 200 OK\r\nX: y\r\n"
    assert head.count == 2
    assert render([]).content_length == -1


def test_hop_by_hop_fields_are_the_servers_to_say() -> None:
    head = render(
        [("Transfer-Encoding", "chunked"), ("Keep-Alive", "x"), ("Upgrade", "h2c")]
    )
    assert head.start == b"HTTP/1.1 200 OK\r\n"
    assert not head.wants_close
    assert render([("Connection", "Close")]).wants_close
    assert not render([("Connection", "keep-alive")]).wants_close


def test_a_date_of_the_applications_is_noticed() -> None:
    assert render([("Date", "yesterday")]).has_date
    assert not render([]).has_date


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        ("200 OK", 200, "OK"),
        ("404", 404, "Not Found"),
        ("299", 299, "Unknown"),
        ("200 ", 200, "OK"),
        ("418 I'm a teapot", 418, "I'm a teapot"),
        ("200 Tr\xe8s bien", 200, "Tr\xe8s bien"),
    ],
)
def test_statuses(status: str, code: int, reason: str) -> None:
    head = render([], status)
    assert (head.code, head.reason) == (code, reason)


@pytest.mark.parametrize(
    "status", ["", "OK", "20 OK", "2000 OK", "200 OK\r\nX: y", "100 Continue", "200OK"]
)
def test_statuses_that_are_none(status: str) -> None:
    with pytest.raises(LocalProtocolError):
        render([], status)


@pytest.mark.parametrize(
    "header",
    [
        ("X", "a\r\nSet-Cookie: evil"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\0b"),
        ("X\r\nY", "a"),
        ("X Y", "a"),
        ("", "a"),
        ("X:", "a"),
        ("Content-Length", "-1"),
        ("Content-Length", "1, 1"),
        ("Content-Length", "²"),
    ],
)
def test_headers_that_would_change_the_message(header: tuple[str, str]) -> None:
    with pytest.raises(LocalProtocolError):
        render([("A", "b"), header])


def test_contradicting_lengths() -> None:
    assert render([("Content-Length", "1")] * 2).content_length == 1
    with pytest.raises(LocalProtocolError, match="given as 1 and as 2"):
        render([("Content-Length", "1"), ("Content-Length", "2")])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("X", 1)], "200 OK"),
        ([("X", b"y")], "200 OK"),
        ([(b"X", "y")], "200 OK"),
        ([(1, "y")], "200 OK"),
        ([], b"200 OK"),
        ([], 200),
        ([], ["200 OK"]),
    ],
)
def test_what_is_not_a_string_is_a_type_error(headers: Any, status: Any) -> None:
    with pytest.raises(TypeError):
        render(headers, status)


def test_a_head_that_comes_again_is_the_same() -> None:
    renderer = HeadRenderer()
    headers = [("X", "y"), ("Content-Length", "2")]
    first = renderer.render("200 OK", headers)
    assert renderer.render("200 OK", list(headers)) is first
    headers[0] = ("X", "z")
    assert renderer.render("200 OK", headers).start.endswith(b"X: z\r\n")
    assert renderer.render("404 Not Found", headers).code == 404


def test_cookies_are_not_remembered() -> None:
    renderer = HeadRenderer()
    headers = [("Set-Cookie", "session=secret")]
    first = renderer.render("200 OK", headers)
    assert renderer.render("200 OK", headers) is not first
    assert renderer.render("200 OK", headers).start == first.start


def test_what_is_not_latin_1_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="latin1"):
        render([("X", "\u20ac")])


def test_headers_may_be_lists() -> None:
    assert render([["X", "y"]]).start.endswith(b"X: y\r\n")


def test_subclasses_of_str_are_strings() -> None:
    class Name(str):
        __slots__ = ()

    head = render([(Name("X"), Name("y"))], Name("200 OK"))
    assert head.start == b"HTTP/1.1 200 OK\r\nX: y\r\n"


def test_reason_phrases() -> None:
    assert reason_phrase(504) == "Gateway Timeout"
    assert reason_phrase(799) == "Unknown"
