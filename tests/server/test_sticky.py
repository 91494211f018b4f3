from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.server.sticky import Sticky, parse_sticky


class Sessions(dict[bytes, bytes]):
    """A table in one process."""

    def update(self, key: bytes, value: bytes, seconds: int = 0) -> None:  # type: ignore[override]
        self[key] = value


def sticky(kind: str, name: str = "", worker: int = 1, **more: Any) -> Sticky:
    sessions = more.get("sessions", Sessions())
    return Sticky(kind, name, sessions, worker_id=worker, workers=4)


def exchange(environ: dict[str, str], headers: list[tuple[str, str]]) -> Any:
    added: list[tuple[str, str]] = []
    return SimpleNamespace(
        environ=environ,
        headers=headers,
        added=added,
        add_header=lambda name, value: added.append((name, value)),
    )


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("cookie:io", "cookie", "io"),
        ("query:sid", "query", "sid"),
        ("header:X-Session", "header", "X-Session"),
        ("addr", "addr", ""),
    ],
)
def test_what_the_option_may_be(text: str, kind: str, name: str) -> None:
    assert parse_sticky(text) == (kind, name)


@pytest.mark.parametrize("text", ["", "cookie", "cookie:", "cookie:a b", "sid", "x:y"])
def test_what_it_may_not_be(text: str) -> None:
    with pytest.raises(ConfigError, match="sticky"):
        parse_sticky(text)


@pytest.mark.parametrize(
    ("kind", "environ", "session"),
    [
        ("cookie", {"HTTP_COOKIE": "sid=abc"}, b"abc"),
        ("cookie", {"HTTP_COOKIE": 'a=1; sid="abc"; b=2'}, b"abc"),
        ("cookie", {"HTTP_COOKIE": "xsid=1"}, b""),
        ("cookie", {"HTTP_COOKIE": "sidx=1"}, b""),
        ("cookie", {}, b""),
        ("query", {"QUERY_STRING": "EIO=4&sid=a%2Bb&t=1"}, b"a+b"),
        ("query", {"QUERY_STRING": "xsid=1&sid="}, b""),
        ("query", {}, b""),
        ("header", {"HTTP_SID": "abc"}, b"abc"),
        ("addr", {"REMOTE_ADDR": "10.0.0.1"}, b"10.0.0.1"),
    ],
)
def test_what_names_the_session(
    kind: str, environ: dict[str, str], session: bytes
) -> None:
    assert sticky(kind, "sid").session_of(environ) == session


def test_a_session_that_nobody_has_is_mine() -> None:
    sessions = Sessions()
    first = sticky("query", "sid", 1, sessions=sessions)
    second = sticky("query", "sid", 2, sessions=sessions)
    environ = {"QUERY_STRING": "sid=abc"}
    assert first.worker_of(environ) == 0
    assert first.worker_of(environ) == 1
    assert second.worker_of(environ) == 1
    assert second.worker_of({"QUERY_STRING": ""}) == 0


def test_addresses_and_headers_have_a_worker_from_the_first_request_on() -> None:
    for kind in ("addr", "header"):
        workers = {
            sticky(kind, "sid", worker).worker_of(
                {"REMOTE_ADDR": "10.0.0.1", "HTTP_SID": "x"}
            )
            for worker in (1, 2, 3, 4)
        }
        assert len(workers) == 1
        assert workers <= {1, 2, 3, 4}


def test_a_session_in_a_json_body_is_learned() -> None:
    sessions = Sessions()
    mine = sticky("query", "sid", 3, sessions=sessions)
    mine.learn_from_body(
        exchange({"QUERY_STRING": "EIO=4"}, []), b'0{"sid":"abc-1_","upgrades":[]}'
    )
    assert sessions == {b"abc-1_": b"3"}
    mine.learn_from_body(exchange({"QUERY_STRING": "sid=x"}, []), b'{"sid":"other"}')
    assert b"other" not in sessions


def test_a_session_cookie_of_the_application_is_learned() -> None:
    sessions = Sessions()
    mine = sticky("cookie", "io", 2, sessions=sessions)
    answered = exchange({}, [("Set-Cookie", "io=abc; Path=/"), ("X", "y")])
    mine.learn_from_headers(answered)
    assert sessions == {b"abc": b"2"}
    assert answered.added == []


def test_a_cookie_is_set_where_there_is_none() -> None:
    sessions = Sessions()
    mine = sticky("cookie", "io", 2, sessions=sessions)
    answered = exchange({}, [])
    mine.learn_from_headers(answered)
    [(name, value)] = answered.added
    assert name == "Set-Cookie"
    session = value.partition(";")[0].removeprefix("io=")
    assert sessions == {session.encode(): b"2"}
    again = exchange({"HTTP_COOKIE": f"io={session}"}, [])
    mine.learn_from_headers(again)
    assert again.added == []


def test_long_names_are_cut_alike_everywhere() -> None:
    sessions = Sessions()
    mine = sticky("cookie", "io", 2, sessions=sessions)
    mine.learn_from_headers(exchange({}, [("Set-Cookie", f"io={'x' * 500}")]))
    assert mine.worker_of({"HTTP_COOKIE": f"io={'x' * 500}"}) == 2
