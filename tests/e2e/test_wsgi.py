"""PEP 3333 through the real server, with `wsgiref.validate` around the pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from geuwsgi.testing.client import Client, exchange, get
from geuwsgi.testing.packet import exchange_packet, web_server_vars

if TYPE_CHECKING:
    from tests.e2e.conftest import Site


def test_write_comes_before_what_is_returned(http_address: str) -> None:
    assert get(http_address, "/write").body == b"written, returned"


def test_start_response_again_with_an_error_replaces_the_first(
    http_address: str,
) -> None:
    response = get(http_address, "/twice")
    assert (response.status, response.body) == (503, b"busy")


@pytest.mark.parametrize("target", ["/error", "/error-after-start"])
def test_an_exception_is_a_500_without_a_traceback_for_the_peer(
    site: Site, http_address: str, target: str
) -> None:
    before = site.server.log.count("Traceback (most recent call last)")
    response = get(http_address, target)
    assert response.status == 500
    assert b"Traceback" not in response.body
    assert b"RuntimeError" not in response.body
    site.server.wait_for_log(r"Traceback \(most recent call last\)", count=before + 1)
    site.server.wait_for_log(r"^RuntimeError: (this page is broken|broken before)")
    assert get(http_address, "/").status == 200


def test_an_exception_in_the_body_cuts_the_connection(http_address: str) -> None:
    response = get(http_address, "/error-in-body")
    assert response.status == 200
    assert response.body in (b"so far so good\n", b"")
    assert not response.complete


def test_empty_pieces_do_not_end_the_body(http_address: str) -> None:
    with Client(http_address) as client:
        assert client.request("/empty-pieces").body == b"ab"
        assert client.request("/").body == b"hello"


def test_the_iterable_is_closed(site: Site, http_address: str) -> None:
    before = int(get(http_address, "/closed").text)
    assert get(http_address, "/closing").body == b"x" * 100 + b"y" * 100
    assert int(get(http_address, "/closed").text) == before + 1


def test_the_iterable_is_closed_when_the_client_is_gone(site: Site) -> None:
    before = int(get(site.http, "/closed").text)
    with Client(site.http) as client:
        client.send(b"GET /closing HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_until(b"x")
    site.server.wait_for(
        lambda: int(get(site.http, "/closed").text) == before + 1, "closes"
    )


def test_fields_are_sent_as_given(http_address: str) -> None:
    response = get(http_address, "/fields")
    assert (response.status, response.reason) == (299, "Odd But Fine")
    assert response.header_values("Set-Cookie") == ["a=1", "b=2"]
    assert response.header("X-Latin") == "caf\xe9"


def test_a_response_cannot_be_split_by_a_header_value(bare_site: Site) -> None:
    for address in bare_site.http_addresses:
        response = get(address, "/injection")
        assert response.status == 500
        assert response.header("Set-Cookie") is None
    response = exchange_packet(bare_site.uwsgi, web_server_vars("/injection"))
    assert response.status == 500
    assert response.header("Set-Cookie") is None


def test_a_body_shorter_than_promised_is_not_passed_off_as_whole(
    bare_site: Site,
) -> None:
    response = get(bare_site.http, "/short")
    assert response.body == b"only this"
    assert not response.complete


def test_a_body_longer_than_promised_does_not_become_another_response(
    bare_site: Site,
) -> None:
    with Client(bare_site.http) as client:
        client.send(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.read_response()
        assert response.body in (b"four", b"")
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        rest = (
            client.read_to_end() if client.is_closed(0.2) else client.read_until(b"o")
        )
        assert not rest.startswith(b" and more")


def test_the_input_has_all_its_methods(http_address: str) -> None:
    body = b"first\nsecond\nthird without an end"
    with Client(http_address) as client:
        answer = client.request("/lines", method="POST", body=body).body
        assert (
            answer
            == repr([b"first\n", b"second\n", b"third without an end", b""]).encode()
        )
        client.send(
            b"POST /lines HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"8\r\nfirst\nse\r\n19\r\ncond\nthird without an end\r\n0\r\n\r\n"
        )
        assert client.read_response().body == answer


def test_a_body_that_stops_early_does_not_hang_the_application(site: Site) -> None:
    with Client(site.http) as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
        client.send_eof()
        client.read_to_end()
    assert get(site.http, "/").body == b"hello"


def test_a_file_is_sent_by_the_file_wrapper(bare_site: Site) -> None:
    source = (bare_site.server.directory / "pages.py").read_bytes()
    for address in bare_site.http_addresses:
        with Client(address) as client:
            assert client.request("/own-file").body == source
            assert client.request("/memory-file").body == b"memory" * 99
            assert client.request("/own-file", method="HEAD").body == b""
            assert client.request("/").body == b"hello"
    packet = exchange_packet(bare_site.uwsgi_unix, web_server_vars("/own-file"))
    assert packet.body == source


def test_what_the_application_complains_about_is_in_the_log(site: Site) -> None:
    get(site.http, "/complain")
    site.server.wait_for_log("^a complaint of the application$")


def test_the_validator_found_nothing(site: Site) -> None:
    for target in ("/", "/stream", "/write", "/fields", "/no-body", "/environ"):
        assert get(site.http, target).status < 500
        assert exchange_packet(site.uwsgi, web_server_vars(target)).status < 500
    assert "AssertionError" not in site.server.log
    assert "WSGIWarning" not in site.server.log


def test_a_validated_page_is_asked_for_by_its_method(site: Site) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        request = f"{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        assert exchange(site.http, request.encode()).body == b"hello"


def test_the_log_has_a_line_for_every_request(site: Site) -> None:
    get(site.http, "/fields?line=1")
    (match,) = site.server.wait_for_log(
        r"^\[pid: (\d+)\|app: 0\|req: \d+/\d+\] 127\.0\.0\.1 \(\) "
        r"\{\d+ vars in \d+ bytes\} \[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d "
        r"\d\d:\d\d:\d\d \d{4}\] GET /fields\?line=1 => generated 0 bytes in "
        r"\d+ msecs \(HTTP/1\.1 299\) 5 headers in \d+ bytes "
        r"\(\d+ switches on core \d+\)$"
    )
    assert int(match[1]) in site.server.processes()
    assert int(match[1]) != site.server.pid


def test_modules_are_found_in_the_directory_of_the_site(site: Site) -> None:
    assert re.search(r"WSGI app 0 \(mountpoint=''\) ready in \d", site.server.log)
    assert Path(site.http_unix).is_socket()
