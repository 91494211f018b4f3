"""Which requests become websockets, and what the others are told."""

from __future__ import annotations

import pytest

from geuwsgi.errors import LocalProtocolError
from geuwsgi.protocol.websocket_handshake import (
    HandshakeRefused,
    accept_value,
    asks_for_websocket,
    check_request,
    is_key,
    offered_subprotocols,
    response_head,
    select_subprotocol,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": KEY,
}


def test_the_example_of_the_rfc() -> None:
    assert check_request(REQUEST) == KEY
    assert accept_value(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    "change",
    [
        {"HTTP_UPGRADE": "WebSocket"},
        {"HTTP_UPGRADE": "h2c, websocket"},
        {"HTTP_CONNECTION": "keep-alive, Upgrade"},
        {"HTTP_CONNECTION": "UPGRADE"},
        {"SERVER_PROTOCOL": "HTTP/2.0"},  # nginx names what its client speaks
    ],
)
def test_other_ways_to_say_it(change: dict[str, str]) -> None:
    assert check_request({**REQUEST, **change}) == KEY


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"REQUEST_METHOD": "POST"}, 400),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, 400),
        ({"HTTP_UPGRADE": "h2c"}, 426),
        ({"HTTP_UPGRADE": ""}, 426),
        ({"HTTP_CONNECTION": "keep-alive"}, 400),
        ({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, 426),
        ({"HTTP_SEC_WEBSOCKET_VERSION": "13, 8"}, 426),
        ({"HTTP_SEC_WEBSOCKET_VERSION": ""}, 426),
        ({"HTTP_SEC_WEBSOCKET_KEY": ""}, 400),
        ({"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25j"}, 400),
        ({"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ=\xe9"}, 400),
    ],
)
def test_what_is_refused(change: dict[str, str], status: int) -> None:
    with pytest.raises(HandshakeRefused) as raised:
        check_request({**REQUEST, **change})
    assert raised.value.status == status
    assert (status == 426) == (("Upgrade", "websocket") in raised.value.headers)


@pytest.mark.parametrize("name", ["HTTP_CONNECTION", "HTTP_SEC_WEBSOCKET_KEY"])
def test_a_header_that_is_missing(name: str) -> None:
    request = dict(REQUEST)
    del request[name]
    with pytest.raises(HandshakeRefused):
        check_request(request)


def test_a_wrong_version_is_told_the_right_one() -> None:
    with pytest.raises(HandshakeRefused) as raised:
        check_request({**REQUEST, "HTTP_SEC_WEBSOCKET_VERSION": "8"})
    assert ("Sec-WebSocket-Version", "13") in raised.value.headers


def test_who_asks_for_a_websocket() -> None:
    assert asks_for_websocket(REQUEST)
    assert not asks_for_websocket({})
    assert not asks_for_websocket({"HTTP_UPGRADE": "h2c"})


@pytest.mark.parametrize("key", ["", "====", "A" * 24, "dGhlIHNhbXBsZSBub25jZQ= ="])
def test_keys_that_are_not_16_bytes(key: str) -> None:
    assert not is_key(key)


def test_subprotocols() -> None:
    offered = offered_subprotocols("chat, superchat ,,v1.json")
    assert offered == ["chat", "superchat", "v1.json"]
    assert select_subprotocol(offered, ["v2", "superchat", "chat"]) == "superchat"
    assert select_subprotocol(offered, ["v2"]) is None
    assert select_subprotocol([], []) is None
    for bad in ("chat room", "a,b\r\nc", "ch\xe4t"):
        with pytest.raises(HandshakeRefused):
            offered_subprotocols(bad)


def test_the_response() -> None:
    assert response_head("xyz=") == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: xyz=\r\n\r\n"
    )
    full = response_head(
        "xyz=",
        subprotocol="chat",
        extensions="permessage-deflate",
        headers=[("Set-Cookie", "a=\xe9")],
    )
    assert full.endswith(
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
        b"Set-Cookie: a=\xe9\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("X", "a\r\nSet-Cookie: b"), ("X: y", "a"), ("", "a"), ("X", "a\0"), ("X", "€")],
)
def test_a_header_that_would_split_the_response_is_refused(
    name: str, value: str
) -> None:
    with pytest.raises(LocalProtocolError):
        response_head("xyz=", headers=[(name, value)])
