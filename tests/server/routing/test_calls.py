"""Actions that reach into the process, and those that send bytes as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from geuwsgi.errors import ConfigErrors
from geuwsgi.shared.arithmetic import Arithmetic

Routed = Callable[..., Any]

RESULTS = {
    "empty": b"",
    "goto": b"goto there",
    "next": b"next",
    "other": b"whatever",
    "raw": b"HTTP/1.0 203 Mine\r\nX-Q: 1\r\n\r\nbody",
    "raw-length": b"HTTP/1.0 203 Mine\r\nContent-Length: 4\r\n\r\nbody",
}


def call(name: str, arguments: list[bytes]) -> bytes | None:
    """The remote functions of these tests."""
    if name == "join":
        return b" ".join(arguments)
    return RESULTS.get(name)


@pytest.mark.parametrize("action", ["call", "rpc", "rpcblob", "rpcnext"])
def test_what_a_function_returns_is_the_answer(routed: Routed, action: str) -> None:
    site = routed(f"route = ^/(.*)$ {action}:join a $1 ${{qs[q]}}", rpc=call)
    answer = site.ask("/x?q=z")
    assert answer.startswith("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n")
    assert answer.endswith("\r\n\r\na x z")


@pytest.mark.parametrize("function", ["empty", "missing"])
@pytest.mark.parametrize(
    ("action", "expected"), [("rpc", "404 Not Found"), ("rpcnext", "FOO='after'")]
)
def test_a_function_without_a_result(
    routed: Routed, action: str, expected: str, function: str
) -> None:
    site = routed(
        f"route-run = {action}:{function}", "route-run = addvar:FOO=after", rpc=call
    )
    assert expected in site.ask("/")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("next", "FOO='after' BAR='there'"),
        ("goto", "FOO=None BAR='there'"),
        ("other", "FOO=None BAR=None"),
    ],
)
def test_a_function_steers_the_chain(
    routed: Routed, function: str, expected: str
) -> None:
    site = routed(
        f"route-run = rpcret:{function}",
        "route-run = addvar:FOO=after",
        "route-label = there",
        "route-run = addvar:BAR=there",
        rpc=call,
    )
    assert expected in site.ask("/")


def test_a_function_that_does_not_exist_breaks_the_chain(routed: Routed) -> None:
    assert routed("route-run = rpcret:missing", rpc=call).ask("/") == ""


@pytest.mark.parametrize("function", ["raw", "raw-length"])
def test_a_function_makes_the_whole_response(routed: Routed, function: str) -> None:
    site = routed(f"route-run = rpcraw:{function}", rpc=call)
    answer = site.ask("/")
    assert answer.startswith("HTTP/1.1 203 Mine\r\n")
    assert "Content-Length: 4\r\n" in answer
    assert answer.endswith("\r\n\r\nbody")


def test_what_is_no_response_is_a_bad_gateway(routed: Routed) -> None:
    site = routed("route-run = rpcraw:next", rpc=call)
    assert site.ask("/").startswith("HTTP/1.1 502 ")


def test_a_function_sets_a_variable(routed: Routed) -> None:
    site = routed(
        "route-run = rpcvar:FOO join a b", "route-run = rpcvar:BAR missing", rpc=call
    )
    assert "FOO='a b' BAR=''" in site.ask("/")


def test_metrics_are_changed(routed: Routed) -> None:
    changes: list[tuple[str, Arithmetic | None, int]] = []
    site = routed(
        "route-run = metricinc:m",
        "route-run = metricdec:m,2",
        "route-run = metricmul:m,${qs[n]}",
        "route-run = metricdiv:${qs[m]},4",
        "route-run = metricset:m,-5",
        change_metric=lambda *change: changes.append(change),
    )
    site.ask("/?n=3&m=other")
    assert changes == [
        ("m", Arithmetic.INC, 1),
        ("m", Arithmetic.DEC, 2),
        ("m", Arithmetic.MUL, 3),
        ("other", Arithmetic.DIV, 4),
        ("m", None, -5),
    ]


def test_the_process_gets_a_title(routed: Routed) -> None:
    titles: list[str] = []
    site = routed("route-run = setprocname:at ${PATH_INFO}", set_title=titles.append)
    site.ask("/x")
    assert titles == ["at /x"]


def test_the_queue_of_connections_is_a_variable(routed: Routed) -> None:
    site = routed("route-run = addvar:FOO=${uwsgi[lq]}", backlog=lambda: 7)
    assert "FOO='7'" in site.ask("/")


def test_bytes_are_sent_as_they_are(routed: Routed) -> None:
    site = routed(
        "route-run = disableheaders:",
        "route-run = send-crnl:HTTP/1.0 201 Mine",
        "route-run = send-crnl:",
        "route-run = send:body of ${PATH_INFO}",
        "route-run = break:",
    )
    assert site.ask("/x") == "HTTP/1.0 201 Mine\r\n\r\nbody of /x"


@pytest.mark.parametrize(
    "rule",
    [
        *("rpc:", "rpcvar:", "rpcvar:wsgi.input f", "metricinc:", "symcall:f"),
        *("radius:x", "+:A=1,2", "access:allow=127.0.0.1", "xmldir:/"),
    ],
)
def test_rules_that_make_no_sense_are_refused(routed: Routed, rule: str) -> None:
    with pytest.raises(ConfigErrors):
        routed(f"route-run = {rule}", rpc=call, change_metric=lambda *change: None)


@pytest.mark.parametrize("rule", ["rpc:f", "metricinc:m", "setprocname:x", "redis:a=b"])
def test_rules_need_what_the_process_does_not_have(routed: Routed, rule: str) -> None:
    with pytest.raises(ConfigErrors):
        routed(f"route-run = {rule}")
