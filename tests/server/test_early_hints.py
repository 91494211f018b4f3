"""103 Early Hints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from geuwsgi.errors import LocalProtocolError
from geuwsgi.server.earlyhints import early_hints

Routed = Callable[..., Any]


def hinting(environ: dict[str, Any], start_response: Any) -> Any:
    early_hints([("Link", "</style.css>; rel=preload"), ("Link", "</b>")])
    if environ["PATH_INFO"] == "/bad":
        with pytest.raises(LocalProtocolError):
            early_hints([("Link", "x\r\nX-Evil: 1")])
    start_response("200 OK", [("Content-Length", "2")])
    yield b"o"
    early_hints([("Link", "too late")])
    yield b"k"


HINTS = (
    "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nLink: </b>\r\n\r\n"
)


def test_hints_go_before_the_response(routed: Routed) -> None:
    site = routed(app=hinting)
    for path in ("/", "/bad"):
        answer = site.ask(path)
        assert answer.startswith(HINTS + "HTTP/1.1 200 OK\r\n")
        assert answer.endswith("\r\n\r\nok")
        assert "too late" not in answer
        assert "Evil" not in answer


def test_old_clients_get_no_hints(routed: Routed) -> None:
    answer = routed(app=hinting).ask_raw(b"GET / HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_outside_of_a_request_there_is_nobody_to_hint() -> None:
    early_hints([("Link", "</x>")])
