"""Request lines: those of uWSGI, and lines that cannot be forged."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.log.lineformat import Surroundings, compile_format
from geuwsgi.log.record import escape
from geuwsgi.log.request import request_logger
from geuwsgi.options.logging import Logging


@dataclass
class Answer:
    code: int = 200
    count: int = 2


@dataclass
class Request:
    """A request as the server hands it over."""

    environ: dict[str, Any] = field(
        default_factory=lambda: {
            "REQUEST_METHOD": "GET",
            "REQUEST_URI": "/a%20b?x=1",
            "PATH_INFO": "/a b",
            "QUERY_STRING": "x=1",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SCRIPT_NAME": "",
            "SERVER_NAME": "vm",
            "SERVER_PORT": "15040",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1:15040",
            "HTTP_USER_AGENT": "curl/7.88.1",
            "HTTP_ACCEPT": "*/*",
            "wsgi.url_scheme": "http",
            "uwsgi.core": 1,
        }
    )
    head: Answer | None = field(default_factory=Answer)
    started: float = 1795637319.284938
    duration: float = 0.001527
    app_number: int = 0
    app_requests: int = 3
    vars_count: int = 0
    packet_size: int = 0
    body_bytes: int = 10
    header_bytes: int = 53
    switches: int = 4
    core: int = 1
    via: str = ""
    log_this: bool = True
    logvars: dict[str, bytes] | None = None

    @property
    def code(self) -> int:
        return self.head.code if self.head else 0

    def with_(self, **environ: str) -> Request:
        return replace(self, environ=self.environ | environ)


AROUND = Surroundings(
    pid=22281,
    worker_id=2,
    memory=lambda: (18108416, 64655360),
    total_requests=lambda: 7,
    metric={"worker.1.requests": 5}.get,
)

Lines = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def logged(
    *requests: Request,
    memory_report: bool = False,
    vhost: bool = False,
    **options: Any,
) -> list[str]:
    written: list[bytes] = []
    log = request_logger(
        Logging(**options),
        AROUND,
        written.append,
        memory_report=memory_report,
        vhost=vhost,
    )
    assert log is not None
    for request in requests:
        log(request)
    assert all(line.endswith(b"\n") for line in written)
    return [line.decode("latin-1")[:-1] for line in written]


def formatted(template: str, request: Request | None = None) -> str:
    return compile_format(template, AROUND)(request or Request())


LINE = (
    "[pid: 22281|app: 0|req: 3/7] 127.0.0.1 () {24 vars in 261 bytes}"
    " [Wed Nov 25 20:08:39 2026] GET /a%20b?x=1 => generated 10 bytes in 1 msecs"
    " (HTTP/1.1 200) 2 headers in 53 bytes (4 switches on core 1)"
)


def test_the_default_line_is_that_of_uwsgi() -> None:
    assert logged(Request()) == [LINE]


def test_a_day_of_one_digit_is_padded_as_ctime_does() -> None:
    (line,) = logged(replace(Request(), started=1793577600.0))
    assert "[Mon Nov  2 00:00:00 2026]" in line


def test_a_packet_is_counted_as_it_came() -> None:
    (line,) = logged(replace(Request(), vars_count=28, packet_size=308))
    assert "{28 vars in 308 bytes}" in line


def test_what_was_sent_otherwise_is_said() -> None:
    (line,) = logged(replace(Request(), via="sendfile"))
    assert "in 1 msecs via sendfile() (HTTP/1.1 200)" in line


def test_the_fields_of_the_application_are_counted() -> None:
    (line,) = logged(replace(Request(), head=Answer(count=3)))
    assert " 3 headers in " in line


def test_a_request_without_answer_has_status_0() -> None:
    (line,) = logged(replace(Request(), head=None, app_number=-1))
    assert "app: -1" in line
    assert "(HTTP/1.1 0) 0 headers" in line


def test_micros_and_memory_and_host_are_options() -> None:
    assert logged(Request(), log_micros=True, memory_report=True) == [
        "{address space usage: 64655360 bytes/61MB} {rss usage: 18108416 bytes/17MB} "
        + LINE.replace("1 msecs", "1527 micros")
    ]
    assert logged(Request(), vhost=True) == ["127.0.0.1:15040 " + LINE]


def test_the_forwarded_address_is_shown_on_demand() -> None:
    request = Request().with_(HTTP_X_FORWARDED_FOR="10.1.1.1, 10.2.2.2")
    assert logged(request)[0].split()[4] == "127.0.0.1"
    line = logged(request, log_x_forwarded_for=True)[0]
    assert "] 10.1.1.1, 10.2.2.2 () {" in line
    assert "] 127.0.0.1 () {" in logged(Request(), log_x_forwarded_for=True)[0]
    assert logged(request, log_format="%(addr)", log_x_forwarded_for=True) == [
        "10.1.1.1, 10.2.2.2"
    ]


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("uri", "/a%20b?x=1"),
        ("method", "GET"),
        ("user", "-"),
        ("addr", "127.0.0.1"),
        ("host", "127.0.0.1:15040"),
        ("proto", "HTTP/1.1"),
        ("uagent", "curl/7.88.1"),
        ("referer", "-"),
        ("status", "200"),
        ("rsize", "10"),
        ("hsize", "53"),
        ("size", "63"),
        ("cl", "0"),
        ("micros", "1527"),
        ("msecs", "1"),
        ("secs", "0.001527"),
        ("tmsecs", "1795637319284"),
        ("tmicros", "1795637319284938"),
        ("time", "1795637319"),
        ("ltime", "25/Nov/2026:20:08:39 +0000"),
        ("ftime", "25/Nov/2026:20:08:39 +0000"),
        ("ctime", "Wed Nov 25 20:08:39 2026"),
        ("pid", "22281"),
        ("wid", "2"),
        ("switches", "4"),
        ("vars", "24"),
        ("core", "1"),
        ("vsz", "64655360"),
        ("rss", "18108416"),
        ("vszM", "61"),
        ("rssM", "17"),
        ("pktsize", "261"),
        ("modifier1", "0"),
        ("modifier2", "0"),
        ("headers", "2"),
        ("werr", "0"),
        ("rerr", "0"),
        ("ioerr", "0"),
        ("var.PATH_INFO", "/a b"),
        ("var.NOPE", "-"),
        ("var.SCRIPT_NAME", "-"),
        ("metric.worker.1.requests", "5"),
        ("metric.nope", "-"),
        ("mine", "-"),
    ],
)
def test_every_item_of_log_format(item: str, text: str) -> None:
    assert formatted(f"<%({item})>") == f"<{text}>"


def test_the_time_of_logging_is_known() -> None:
    before = int(time.time())
    assert before <= int(formatted("%(epoch)")) <= time.time()


def test_variables_of_the_application_are_shown() -> None:
    request = replace(Request(), logvars={"mine": b'va"l', "empty": b""})
    assert formatted("%(mine) %(empty)", request) == "va\\x22l -"


def test_the_length_of_the_body_is_a_number_whatever_was_sent() -> None:
    assert formatted("%(cl)", Request().with_(CONTENT_LENGTH="42")) == "42"
    assert formatted("%(cl)", Request().with_(CONTENT_LENGTH="4\n2")) == "0"


@pytest.mark.parametrize(
    "template", ["100% sure", "%%", "%s %d", "%(unclosed", "", "{0} {}"]
)
def test_what_is_no_item_stays_as_it_is(template: str) -> None:
    assert formatted(template) == template


def test_the_common_log_format_of_the_manual() -> None:
    template = (
        '%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(size)'
        ' "%(referer)" "%(uagent)"'
    )
    assert logged(Request(), log_format=template) == [
        '127.0.0.1 - - [25/Nov/2026:20:08:39 +0000] "GET /a%20b?x=1 HTTP/1.1" 200 63'
        ' "-" "curl/7.88.1"'
    ]


def test_strftime_gives_ftime_the_format_of_the_date() -> None:
    options: dict[str, Any] = {"log_format": "%(ftime) %(uri)", "log_date": "%Y-%m"}
    assert logged(Request(), log_format_strftime=True, **options) == [
        "2026-11 /a%20b?x=1"
    ]
    assert logged(Request(), **options)[0].startswith("25/Nov/2026:20:08:39 +0000 ")


@given(st.text())
def test_no_value_ends_the_line_or_its_quotes(value: str) -> None:
    escaped = escape(value)
    assert not set(escaped) & set('\r\n"\0\x1b\x7f')
    request = Request().with_(
        REQUEST_METHOD=value,
        REQUEST_URI=value,
        REMOTE_USER=value,
        REMOTE_ADDR=value,
        SERVER_PROTOCOL=value,
        HTTP_USER_AGENT=value,
    )
    quoted = '"%(uri)" "%(uagent)" "%(var.REQUEST_METHOD)" "%(mine)"'
    request.logvars = {"mine": value.encode("utf-8", "replace")}
    lines = logged(request) + logged(request, log_format=quoted)
    assert len("\n".join(lines).splitlines()) >= 2
    assert all("\n" not in line and "\r" not in line for line in lines)
    assert lines[1].count('"') == 8


def test_bytes_of_utf8_are_written_as_they_came() -> None:
    request = Request().with_(REQUEST_URI="/é".encode().decode("latin-1"))
    written: list[bytes] = []
    log = request_logger(Logging(log_format="%(uri)"), AROUND, written.append)
    assert log is not None
    log(request)
    assert written == ["/é\n".encode()]


def test_a_character_that_is_no_byte_is_spelt_out() -> None:
    assert logged(Request().with_(REMOTE_USER="€"), log_format="%(user)") == ["\\u20ac"]


@pytest.mark.parametrize(
    ("option", "request_", "others"),
    [
        ({"log_4xx": True}, {"head": Answer(404)}, {"head": Answer(500)}),
        ({"log_5xx": True}, {"head": Answer(503)}, {"head": Answer(404)}),
        ({"log_slow": 100}, {"duration": 0.1}, {"duration": 0.0999}),
        ({"log_big": 100}, {"body_bytes": 101}, {"body_bytes": 100}),
        ({"log_zero": True}, {"body_bytes": 0}, {"body_bytes": 1}),
        ({"log_sendfile": True}, {"via": "sendfile"}, {"via": "route"}),
    ],
)
def test_disabled_logging_lets_through_what_an_option_names(
    option: dict[str, Any], request_: dict[str, Any], others: dict[str, Any]
) -> None:
    wanted = replace(Request(), **request_)
    other = replace(Request(), **others)
    silent = logged(wanted, other, disable_logging=True, log_format="x")
    chosen = logged(wanted, other, disable_logging=True, log_format="x", **option)
    assert (silent, chosen) == ([], ["x"])


def test_log_slow_of_zero_is_off_as_in_uwsgi() -> None:
    assert logged(Request(), disable_logging=True, log_slow=0) == []


def test_a_request_may_ask_to_be_left_out_or_logged() -> None:
    left_out = replace(Request(), log_this=False)
    assert logged(left_out) == []
    forced = Request()
    forced.log_forced = True  # type: ignore[attr-defined]
    assert logged(forced, disable_logging=True) == [LINE]


def test_json_lines_can_be_parsed_whatever_was_sent() -> None:
    request = replace(
        Request().with_(
            REQUEST_URI='/"\\\n\x00' + "é".encode().decode("latin-1") + "\xff",
            HTTP_REFERER="é".encode().decode("latin-1"),
            HTTP_X_FORWARDED_FOR="10.1.1.1",
        ),
        logvars={"mine": "€\n".encode()},
        via="sendfile",
    )
    (line,) = logged(request, log_json=True, log_x_forwarded_for=True)
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-11-25T20:08:39.284938Z",
        "pid": 22281,
        "worker": 2,
        "core": 1,
        "app": 0,
        "addr": "10.1.1.1",
        "user": "",
        "host": "127.0.0.1:15040",
        "method": "GET",
        "uri": '/"\\\n\x00' + "é".encode().decode("latin-1") + "\xff",
        "protocol": "HTTP/1.1",
        "status": 200,
        "body_bytes": 10,
        "header_bytes": 53,
        "micros": 1527,
        "referer": "é",
        "user_agent": "curl/7.88.1",
        "via": "sendfile",
        "vars": {"mine": "€\n"},
    }
