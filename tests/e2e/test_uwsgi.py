"""The uwsgi protocol spoken with the real server."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from geuwsgi.testing.client import Client, MalformedResponse
from geuwsgi.testing.packet import (
    encode_packet,
    encode_vars,
    exchange_packet,
    web_server_vars,
)

if TYPE_CHECKING:
    from tests.e2e.conftest import Site


@pytest.fixture(params=["uwsgi", "uwsgi_unix"])
def address(request: pytest.FixtureRequest, site: Site) -> str:
    chosen: str = getattr(site, request.param)
    return chosen


def test_a_packet_is_answered_in_any_split(
    address: str, cut: Callable[[bytes], list[bytes]]
) -> None:
    body = b"the body"
    variables = web_server_vars("/echo-by-length", method="POST", body=body)
    with Client(address) as client:
        for piece in cut(encode_packet(variables) + body):
            client.send(piece)
        response = client.read_response()
        assert (response.status, response.body) == (200, body)
        assert client.is_closed()


def test_the_variables_are_the_environ(address: str) -> None:
    variables = web_server_vars("/environ?a=b", headers={"X-Real-Ip": "10.0.0.1"}) | {
        "SCRIPT_NAME": "",
        "X_OWN": "caf\xe9",
    }
    shown = json.loads(exchange_packet(address, variables).body)
    for name, value in variables.items():
        assert shown[name] == value
    assert shown["uwsgi.node"].startswith("bytes b'")
    assert shown["uwsgi.version"].startswith("bytes b'")


def test_a_server_that_sends_no_script_name_is_understood(address: str) -> None:
    variables = web_server_vars("/environ")
    assert "SCRIPT_NAME" not in variables
    shown = json.loads(exchange_packet(address, variables).body)
    assert shown["SCRIPT_NAME"] == ""
    assert shown["PATH_INFO"] == "/environ"


@pytest.mark.parametrize(
    ("variables", "scheme"),
    [
        ({}, "http"),
        ({"HTTPS": "on"}, "https"),
        ({"HTTPS": "1"}, "https"),
        ({"HTTPS": "off"}, "http"),
        ({"HTTPS": ""}, "http"),
        ({"UWSGI_SCHEME": "https"}, "https"),
    ],
)
def test_the_scheme_is_what_the_web_server_says(
    address: str, variables: dict[str, str], scheme: str
) -> None:
    sent = web_server_vars("/environ") | variables
    assert json.loads(exchange_packet(address, sent).body)["wsgi.url_scheme"] == scheme


def test_the_status_line_is_in_the_version_of_the_client(address: str) -> None:
    for protocol in ("HTTP/1.0", "HTTP/1.1"):
        sent = web_server_vars("/") | {"SERVER_PROTOCOL": protocol}
        assert exchange_packet(address, sent).version == protocol


def test_a_body_of_unknown_length_is_not_chunked(address: str) -> None:
    response = exchange_packet(address, web_server_vars("/stream"))
    assert response.header("Transfer-Encoding") is None
    assert response.body == b"piece 0\npiece 1\npiece 2\n"


def test_a_head_request_has_no_body(address: str) -> None:
    packet = encode_packet(web_server_vars("/", method="HEAD"))
    with Client(address) as client:
        client.send(packet)
        assert client.read_response(to_head=True).status == 200
        assert client.read_to_end() in (b"", b"hello")


def test_a_crash_of_the_application_is_a_500(address: str) -> None:
    assert exchange_packet(address, web_server_vars("/error")).status == 500


REFUSED = {
    "an unknown modifier": encode_packet(web_server_vars(), modifier1=55),
    "an empty packet": struct.pack("<BHB", 0, 0, 0),
    "a name longer than the packet": struct.pack("<BHB", 0, 4, 0) + b"\xff\xffab",
    "a value longer than the packet": struct.pack("<BHB", 0, 6, 0) + b"\1\0a\xff\xffb",
    "a name without a value": struct.pack("<BHB", 0, 3, 0) + b"\1\0a",
    "a block larger than buffer-size": encode_packet(
        web_server_vars() | {"HTTP_X": "x" * 40_000}
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_request_is_refused(address: str, name: str, site: Site) -> None:
    with pytest.raises(MalformedResponse), Client(address) as client:
        client.send(REFUSED[name])
        response = client.read_response()
        # Telling why is as good as silence.
        assert response.status >= 400
        raise MalformedResponse
    assert exchange_packet(address, web_server_vars("/")).body == b"hello"


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "99999999999999999999"])
def test_a_length_that_is_none_is_refused(address: str, length: str) -> None:
    sent = web_server_vars("/echo-by-length", method="POST")
    with Client(address) as client:
        client.send(encode_packet(sent | {"CONTENT_LENGTH": length}))
        client.send_eof()
        answer = client.read_to_end()
    assert not answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "name", ["UWSGI_FILE", "UWSGI_SCRIPT", "UWSGI_MODULE", "UWSGI_PYHOME"]
)
def test_a_variable_cannot_make_the_server_load_code(
    address: str, name: str, site: Site
) -> None:
    planted = site.server.directory / "planted.py"
    planted.write_text("open('executed', 'w')\napplication = None\n")
    value = "planted" if name == "UWSGI_MODULE" else str(planted)
    sent = web_server_vars("/") | {name: value, "UWSGI_APPID": "other"}
    sent["SCRIPT_NAME"] = "/other"
    exchange_packet(address, sent)
    assert not (site.server.directory / "executed").exists()


def open_descriptors(site: Site) -> int:
    return sum(
        len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in site.server.processes()
    )


def test_short_connections_leave_no_descriptor_behind(site: Site) -> None:
    packet = encode_packet(web_server_vars("/"))
    before = open_descriptors(site)
    for _ in range(300):
        with Client(site.uwsgi_unix) as client:
            client.send(packet)
            assert client.read_response().body == b"hello"
    site.server.wait_for(lambda: open_descriptors(site) <= before + 2, "closes")


def test_repeated_variables_do_not_confuse_the_server(address: str) -> None:
    block = encode_vars([*web_server_vars("/").items(), ("PATH_INFO", "/pid")])
    with Client(address) as client:
        client.send(struct.pack("<BHB", 0, len(block), 0) + block)
        assert client.read_response().status in (200, 400)


def test_modifier_30_of_old_nginx_configurations_is_a_request(address: str) -> None:
    with Client(address) as client:
        client.send(encode_packet(web_server_vars("/echo-by-length"), modifier1=30))
        assert client.read_response().status == 200
