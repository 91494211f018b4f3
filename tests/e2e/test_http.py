"""HTTP/1.1 spoken with the real server, on every kind of HTTP listener."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from geuwsgi.testing.client import Client, Response, exchange, get

if TYPE_CHECKING:
    from tests.e2e.conftest import Site


def environ_of(response: Response) -> dict[str, str]:
    shown: dict[str, str] = json.loads(response.body)
    return shown


def test_the_standard_library_gets_a_page(site: Site) -> None:
    host, port = site.http.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    for _ in range(3):
        connection.request("GET", "/")
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"hello")
    connection.close()


def test_requests_follow_each_other_on_one_connection(http_address: str) -> None:
    with Client(http_address) as client:
        for _ in range(20):
            assert client.request("/").body == b"hello"


def test_pipelined_requests_are_answered_in_order(
    http_address: str, cut: Callable[[bytes], list[bytes]]
) -> None:
    request = (
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\ntw\r\n1\r\no\r\n0\r\n\r\n"
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    with Client(http_address) as client:
        for piece in cut(request):
            client.send(piece)
        bodies = [client.read_response().body for _ in range(3)]
        head = client.read_response(to_head=True)
        last = client.read_response()
        assert bodies == [b"hello", b"one", b"two"]
        assert (head.status, head.header("Content-Length")) == (200, "5")
        assert last.body == b"hello"
        assert client.is_closed()


def test_http_1_0_closes_unless_it_asks_to_stay(http_address: str) -> None:
    with Client(http_address) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.read_response().body == b"hello"
        assert client.is_closed()
    with Client(http_address) as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            response = client.read_response()
            assert response.body == b"hello"
            assert (response.header("Connection") or "").lower() == "keep-alive"


def test_connection_close_is_said_and_done(http_address: str) -> None:
    with Client(http_address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.read_response().header("Connection") == "close"
        assert client.is_closed()


def test_every_response_is_dated(http_address: str) -> None:
    date = get(http_address, "/").header("Date")
    assert date is not None and date.endswith(" GMT")


def test_a_response_of_unknown_length_is_chunked(http_address: str) -> None:
    with Client(http_address) as client:
        response = client.request("/stream")
        assert response.header("Transfer-Encoding") == "chunked"
        assert response.body == b"piece 0\npiece 1\npiece 2\n"
        # The connection is still good.
        assert client.request("/").body == b"hello"


def test_a_response_of_unknown_length_to_http_1_0_ends_with_the_connection(
    http_address: str,
) -> None:
    with Client(http_address) as client:
        client.send(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = client.read_response()
        assert response.header("Transfer-Encoding") is None
        assert response.body == b"piece 0\npiece 1\npiece 2\n"
        assert client.is_closed()


def test_a_piece_is_sent_when_it_is_yielded(site: Site) -> None:
    with Client(site.http) as client:
        client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        received = client.read_until(b"piece 0\n")
        assert b"piece 1" not in received
        assert client.read_until(b"piece 2\n").endswith(b"piece 2\n")


@pytest.mark.parametrize("target", ["/no-body", "/not-modified"])
def test_a_status_without_a_body_has_none(http_address: str, target: str) -> None:
    with Client(http_address) as client:
        response = client.request(target)
        assert response.status in (204, 304)
        assert response.header("Transfer-Encoding") is None
        assert client.request("/").body == b"hello"


@pytest.mark.parametrize("target", ["/", "/stream", "/big?size=100000"])
def test_head_is_answered_like_get_without_the_body(
    http_address: str, target: str
) -> None:
    with Client(http_address) as client:
        response = client.request(target, method="HEAD")
        assert response.status == 200
        assert client.request("/").body == b"hello"


def test_expect_100_continue_is_answered_before_the_body_is_read(
    http_address: str,
) -> None:
    with Client(http_address) as client:
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert client.read_response().status == 100
        client.send(b"body")
        assert client.read_response().body == b"body"


def test_a_body_nobody_reads_does_not_spoil_the_next_request(
    http_address: str,
) -> None:
    with Client(http_address) as client:
        for _ in range(3):
            answer = client.request("/ignore-body", method="POST", body=b"x" * 5000)
            assert answer.body == b"not read"


def test_a_large_body_nobody_reads_does_not_eat_the_answer(http_address: str) -> None:
    with Client(http_address) as client:
        client.send(
            b"POST /ignore-body HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n"
        )
        client.send(b"x" * 3_000_000)
        assert client.read_response().body == b"not read"


def test_an_upload_comes_back_whole(http_address: str) -> None:
    body = bytes(range(256)) * 8192
    with Client(http_address, timeout=30) as client:
        assert client.request("/echo-by-length", method="POST", body=body).body == body


def test_a_large_chunked_upload_comes_back_whole(http_address: str) -> None:
    body = bytes(range(256)) * 4096
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[at : at + 70_000]), body[at : at + 70_000])
        for at in range(0, len(body), 70_000)
    )
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    response = exchange(http_address, head + chunks + b"0\r\n\r\n", timeout=30)
    assert response.body == body


def test_a_large_response_comes_whole_to_a_slow_reader(site: Site) -> None:
    with Client(site.http, timeout=30) as client:
        client.send(b"GET /big?size=5000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        # Others are served while this one does not read.
        assert get(site.http, "/").body == b"hello"
        response = client.read_response()
    assert response.complete
    assert response.body == (bytes(range(256)) * 20000)[:5_000_000]


def test_the_environ_says_what_the_request_said(site: Site) -> None:
    response = exchange(
        site.http,
        b"POST /environ/a%20b/c%C3%A9;p?x=1&y=%20 HTTP/1.1\r\nHost: site.test:81\r\n"
        b"Content-Type: text/x\r\nContent-Length: 0\r\nX-Two: 1\r\nX-Two: 2\r\n"
        b"Cookie: a=1\r\nCookie: b=2\r\n\r\n",
    )
    shown = environ_of(response)
    port = site.http.rpartition(":")[2]
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/environ/a b/c\xc3\xa9;p",
        "QUERY_STRING": "x=1&y=%20",
        "REQUEST_URI": "/environ/a%20b/c%C3%A9;p?x=1&y=%20",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_PORT": port,
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "0",
        "HTTP_HOST": "site.test:81",
        "wsgi.url_scheme": "http",
        "wsgi.version": "tuple (1, 0)",
        "wsgi.multithread": "bool True",
        "wsgi.multiprocess": "bool False",
        "wsgi.run_once": "bool False",
    }
    assert {name: shown.get(name) for name in expected} == expected
    assert shown["HTTP_X_TWO"].replace(" ", "") == "1,2"
    assert "a=1" in shown["HTTP_COOKIE"] and "b=2" in shown["HTTP_COOKIE"]
    assert shown["uwsgi.version"].startswith("bytes b'")
    assert shown["uwsgi.node"].startswith("bytes b'")
    assert shown["uwsgi.core"].startswith("int ")
    assert "wsgi.file_wrapper" in shown
    assert "HTTP_CONTENT_TYPE" not in shown


HOSTILE = {
    "length and chunked": b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\nab",
    "a signed length": b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
    "an unknown coding": b"POST /echo HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding: gzip\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a bare line feed": b"GET / HTTP/1.1\nHost: a\n\r\n\r\n",
    "a null byte": b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a future version": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    "a bad chunk": b"POST /echo HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
    "a negative chunk": b"POST /echo HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_ambiguous_request_is_refused_and_the_connection_closed(
    http_address: str, name: str
) -> None:
    with Client(http_address) as client:
        client.send(HOSTILE[name])
        response = client.read_response()
        assert response.status in (400, 501, 505)
        assert client.is_closed()


def test_a_head_that_is_too_large_is_answered_with_431(http_address: str) -> None:
    with Client(http_address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\n\r\n")
        assert client.read_response().status in (414, 431)
        assert client.is_closed()


def test_a_target_that_is_too_long_is_answered_with_414(http_address: str) -> None:
    with Client(http_address) as client:
        client.send(b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_response().status in (414, 431)
        assert client.is_closed()


def test_an_absolute_target_is_split(site: Site) -> None:
    response = exchange(
        site.http, b"GET http://b.test/environ?q HTTP/1.1\r\nHost: b.test\r\n\r\n"
    )
    shown = environ_of(response)
    assert (shown["PATH_INFO"], shown["QUERY_STRING"]) == ("/environ", "q")


def test_options_for_the_whole_server_is_no_error(http_address: str) -> None:
    response = exchange(http_address, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert response.status in (200, 204, 404)


def test_a_client_that_goes_away_is_no_matter(site: Site) -> None:
    before = site.server.log.count("Traceback")
    for _ in range(5):
        with Client(site.http) as client:
            client.send(b"GET /big?size=10000000 HTTP/1.1\r\nHost: a\r\n\r\n")
            client.read_until(b"\r\n\r\n")
    assert get(site.http, "/").body == b"hello"
    assert site.server.log.count("Traceback") == before
