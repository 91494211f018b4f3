"""Rules, from the request to the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from geuwsgi.errors import ConfigErrors
from geuwsgi.options import Headers, Routing

Routed = Callable[..., Any]


# The flow of a chain


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/return", "404 Not Found\r\n"),
        ("/reason", "503 Not Ready\r\n"),
        ("/last", "FOO=None BAR=None"),
        ("/goto", "FOO=None BAR='after'"),
        ("/nowhere", "FOO=None BAR=None"),
        ("/through", "FOO='end' BAR='after'"),
    ],
)
def test_actions_steer_the_chain(routed: Routed, path: str, expected: str) -> None:
    site = routed(
        "route = ^/return return:404",
        "route = ^/reason return:503 Not Ready",
        "route = ^/last last:",
        "route = ^/goto goto:there",
        "route = ^/nowhere goto:missing",
        "route-run = addvar:FOO=end",
        "route-label = there",
        "route-run = addvar:BAR=after",
    )
    assert expected in site.ask(path)


def test_break_with_a_status_has_no_body(routed: Routed) -> None:
    site = routed("route = ^/ break:403 Nope")
    answer = site.ask("/")
    assert answer.startswith("HTTP/1.1 403 Nope\r\n")
    assert answer.endswith("\r\n\r\n")


def test_break_without_a_status_just_closes(routed: Routed) -> None:
    assert routed("route = ^/ break:").ask("/") == ""


def test_rules_that_jump_in_circles_end(routed: Routed) -> None:
    site = routed("route-label = a", "route-run = goto:a")
    assert site.ask("/").startswith("HTTP/1.1 500 ")


# What rules look at


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("route = ^/path$", ()),
        ("route-uri = ^/path\\?q=1$", ()),
        ("route-qs = q=1", ()),
        ("route-host = ^x$", ()),
        ("route-remote-addr = ^127", ()),
        ("route-user-agent = curl", ("User-Agent: curl/8",)),
        ("route-referer = from", ("Referer: from",)),
        ("route-if = equal:${PATH_INFO};/path", ()),
        ("route-if = eq:${qs[q]};1", ()),
        ("route-if = startswith:${PATH_INFO};/pa", ()),
        ("route-if = endswith:${PATH_INFO};th", ()),
        ("route-if = contains:${PATH_INFO};at", ()),
        ("route-if = regexp:${PATH_INFO};^/p.*h$", ()),
        ("route-if = empty:${HTTP_X}", ()),
        ("route-if-not = empty:${HTTP_X}", ("X: y",)),
        ("route-if = ishigher:${cookie[n]};5", ("Cookie: m=1; n=6",)),
        ("route-if = islower:${cookie[n]};5", ("Cookie: n=4",)),
        ("route-if = >=:${qs[q]};1", ()),
        ("route-if = ipv4in:${REMOTE_ADDR};127.0.0.0/8", ()),
        ("route-if-not = ipv6in:${REMOTE_ADDR};::/0", ()),
        ("route-if = isdir:/tmp", ()),
        ("route-if = exists:/tmp", ()),
        ("route-if-not = isfile:/tmp", ()),
        ("route-if = isexec:/bin/sh", ()),
        ("route-if-not = islink:/tmp", ()),
        ("route-if-not = lord:legion", ()),
        ("route-if-not = incache:key=a", ()),
    ],
)
def test_a_rule_applies(routed: Routed, rule: str, fields: tuple[str, ...]) -> None:
    site = routed(f"{rule} addvar:FOO=yes")
    assert "FOO='yes'" in site.ask("/path?q=1", *fields)


@pytest.mark.parametrize(
    "rule",
    [
        "route = ^/other",
        "route-referer = .",
        "route-if = isfile:/tmp/${qs[q]}%00",
        "route-if = ipv4in:${REMOTE_ADDR};10.0.0.0/8",
        "route-if = ipv4in:${HTTP_HOST};127.0.0.0/8",
        "route-if = ishigher:${cookie[n]};5",
        "route-if-not = exists:/",
    ],
)
def test_a_rule_does_not_apply(routed: Routed, rule: str) -> None:
    assert "FOO=None" in routed(f"{rule} addvar:FOO=yes").ask("/path?q=1")


# What actions change


@pytest.mark.parametrize(
    ("action", "shown"),
    [
        ("addvar:FOO=$1-${PATH_INFO}-${NOPE}-$2|$$|$x|${", "FOO='x-/ax--|$$|$x|${'"),
        ("setvar:FOO=$0", "FOO='/ax'"),
        ("addvar:FOO=${base64[PATH_INFO]}", "FOO='L2F4'"),
        ("addvar:FOO=${hex[PATH_INFO]}", "FOO='2F6178'"),
        ("addvar:FOO=${qs[b]}", "FOO='b%20c'"),
        ("addvar:FOO=${nothing[x]}", "FOO=''"),
        ("addvar:FOO=${uwsgi[wid]}", "FOO='1'"),
        ("rewrite:/new/$1", "PATH_INFO='/new/x' QUERY_STRING='a=1&b=b%20c'"),
        ("rewrite:/new?q=1", "PATH_INFO='/new' QUERY_STRING='q=1&a=1&b=b%20c'"),
        ("rewrite:/a/../b", "PATH_INFO='/b'"),
        ("setpathinfo:/zz", "PATH_INFO='/zz'"),
        ("seturi:/u?v", "REQUEST_URI='/u?v'"),
        ("setmethod:POST", "REQUEST_METHOD='POST'"),
        ("setuser:joe", "REMOTE_USER='joe'"),
        ("setscriptname:/sn", "SCRIPT_NAME='/sn'"),
        ("setremoteaddr:9.9.9.9", "REMOTE_ADDR='9.9.9.9'"),
        ("setdocroot:/srv", "DOCUMENT_ROOT='/srv'"),
        ("setscheme:https", "wsgi.url_scheme='https'"),
        ("hash:algo=djb33x,items=a;b;c;d;e,key=/h1,var=FOO", "FOO='e'"),
        ("hash:algo=murmur2,items=a;b;c;d;e,key=/h2,var=FOO", "FOO='d'"),
    ],
)
def test_an_action_changes_the_request(routed: Routed, action: str, shown: str) -> None:
    assert shown in routed(f"route = ^/a(.*) {action}").ask("/ax?a=1&b=b%20c")


def test_rewriting_does_not_decode_what_a_client_encoded_twice(routed: Routed) -> None:
    answer = routed("route = ^/a(.*) rewrite:/b$1").ask("/a/%252e%252e/%253F")
    assert "PATH_INFO='/b/%2e%2e/%3F' QUERY_STRING=''" in answer


def test_fixpathinfo_takes_the_script_name_off(routed: Routed) -> None:
    site = routed("route-run = setscriptname:/app", "route-run = fixpathinfo:")
    assert "PATH_INFO='/x'" in site.ask("/app/x")


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("redirect", "302 Found"),
        ("redirect-302", "302 Found"),
        ("redirect-301", "301 Moved Permanently"),
        ("redirect-permanent", "301 Moved Permanently"),
    ],
)
def test_redirects_name_a_location(routed: Routed, action: str, status: str) -> None:
    answer = routed(f"route = ^/(.*) {action}:https://${{HTTP_HOST}}/$1").ask("/a%20b")
    assert answer.startswith(f"HTTP/1.1 {status}\r\n")
    assert "\r\nLocation: https://x/a%20b\r\n" in answer


def test_a_line_feed_of_the_client_makes_no_header_field(routed: Routed) -> None:
    site = routed(
        "route = (?s)^/r(.*) redirect:/$1",
        "route = (?s)^/h(.*) addheader:X-Path: $1",
    )
    assert "Location: /%0D%0AX-Evil:%201\r\n" in site.ask("/r%0d%0aX-Evil:%201")
    assert site.ask("/h%0d%0aX-Evil:%201").startswith("HTTP/1.1 400 ")


def test_header_fields_are_added_and_removed(routed: Routed) -> None:
    site = routed(
        "route = ^/both addheader:X-New: ${PATH_INFO}",
        "route = ^/both delheader:x-app",
        "route = ^/rem remheader:X-App",
    )
    answer = site.ask("/both")
    assert "\r\nX-New: /both\r\n" in answer
    assert "X-App" not in answer
    assert "X-App" not in site.ask("/rem")
    assert "X-App: 1" in site.ask("/")


def test_log_actions(routed: Routed) -> None:
    site = routed(
        "route = ^/log log:seen ${PATH_INFO}",
        "route = ^/quiet donotlog:",
        "route = ^/var logvar:kind=$0",
    )
    site.ask("/log%0aforged")
    assert site.log == ["seen /log\\x0aforged"]
    site.ask("/quiet")
    assert site.logged[-1].log_this is False
    site.ask("/var")
    assert site.logged[-1].logvars == {"kind": b"/var"}


def test_harakiri_sets_the_deadline_of_one_request(routed: Routed) -> None:
    site = routed("route = ^/slow harakiri:30")
    site.ask("/fast")
    assert site.logged[-1].deadline == 0
    site.ask("/slow")
    assert site.logged[-1].deadline > 0


def test_expires_adds_a_date(routed: Routed) -> None:
    site = routed("route-run = expires:unix=100,value=10")
    assert "Expires: Thu, 01 Jan 1970 00:01:50 GMT" in site.ask("/")


# Responses, errors, ends


def test_response_rules_see_the_status_and_change_the_head(routed: Routed) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(environ["QUERY_STRING"] + " X", [("X-App", "1")])
        return [b"body"]

    site = routed(
        "response-route-status = 404 addheader:X-Seen: 404",
        "response-route-status = ^5 return:502",
        "response-route = ^/strip delheader:X-App",
        app=app,
    )
    assert "\r\nX-Seen: 404\r\n" in site.ask("/?404")
    assert "X-Seen" not in site.ask("/?405")
    assert "X-App" not in site.ask("/strip?200")
    replaced = site.ask("/?500")
    assert replaced.startswith("HTTP/1.1 502 Bad Gateway\r\n")
    assert replaced.endswith("\r\n\r\nBad Gateway")


def test_x_sendfile_is_a_collected_header_and_a_response_rule(
    routed: Routed, tmp_path: Any
) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(b"from the file")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-Sendfile", str(path)), ("X-App", "1")])
        return [b"to be ", b"dropped"]

    site = routed(
        "response-route-if-not = empty:${X_SENDFILE} static:${X_SENDFILE}",
        app=app,
        headers=Headers(collect_header=("X-Sendfile X_SENDFILE",)),
    )
    answer = site.ask("/")
    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert answer.endswith("\r\n\r\nfrom the file")
    assert "X-App" not in answer


def test_headers_are_added_removed_and_pulled_by_options(routed: Routed) -> None:
    site = routed(
        "final-route-run = log:${KIND}",
        headers=Headers(
            add_header=("X-Added: 1",),
            del_header=("Content-Type",),
            pull_header=("X-App KIND",),
        ),
    )
    answer = site.ask("/")
    assert "\r\nX-Added: 1\r\n" in answer
    assert "Content-Type" not in answer
    assert "X-App" not in answer
    assert site.log == ["1"]


def test_error_rules_answer_for_the_server(routed: Routed) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise RuntimeError("broken")

    site = routed(
        "error-route-status = 500 redirect:/sorry",
        app=app,
    )
    assert "Location: /sorry" in site.ask("/")


def test_error_pages_answer_for_the_server(routed: Routed, tmp_path: Any) -> None:
    page = tmp_path / "500.html"
    page.write_bytes(b"<h1>sorry")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise RuntimeError("broken")

    site = routed(app=app, routing=Routing(error_page_500=("/no/such/file", str(page))))
    answer = site.ask("/")
    assert answer.startswith("HTTP/1.1 500 Internal Server Error\r\n")
    assert "\r\nContent-Type: text/html\r\n" in answer
    assert answer.endswith("<h1>sorry")


def test_final_rules_run_after_the_response(routed: Routed) -> None:
    site = routed("final-route-status = 200 log:done ${uwsgi[status]}")
    site.ask("/")
    assert site.log == ["done 200"]


# Files


def test_files_are_sent_by_rules(routed: Routed, tmp_path: Any) -> None:
    (tmp_path / "pub").mkdir()
    (tmp_path / "pub" / "a.txt").write_bytes(b"public")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    pub = tmp_path / "pub"
    site = routed(
        f"route = ^/s/(.*) static:{pub}/$1",
        f"route = ^/n/(.*) static-next:{pub}/$1",
        f"route = ^/f file:filename={pub}/a.txt,status=201 Made,content_type=x/y",
        f"route = ^/m sendfile:{pub}/a.txt",
    )
    assert site.ask("/s/a.txt").endswith("\r\n\r\npublic")
    assert "206 Partial" in site.ask("/s/a.txt", "Range: bytes=0-1")
    for path in ("/s/missing", "/s/%2e%2e/secret.txt", "/s//etc/passwd"):
        assert site.ask(path).startswith("HTTP/1.1 404 ")
    assert "APP" in site.ask("/n/missing")
    made = site.ask("/f")
    assert made.startswith("HTTP/1.1 201 Made\r\n")
    assert "Content-Type: x/y" in made
    assert site.ask("/m").endswith("public")


# Mistakes


def test_all_mistakes_are_told_with_their_places(routed: Routed) -> None:
    with pytest.raises(ConfigErrors) as caught:
        routed(
            "route = ^/ok last:",
            "route = ( last:",
            "route = ^/a fly:away",
            "route = ^/b",
            "route-if = never:x last:",
            "response-route-run = return:99",
            "route-run = addvar:wsgi.input=x",
            "route-run = basicauth:realm",
            "route-run = hash:items=a",
            "route-run = http:",
            "route-if = ipv4in:${REMOTE_ADDR};300.0.0.0/8 last:",
        )
    places = [error.origin for error in caught.value.errors]
    assert places == [f"test.ini:{number}" for number in range(2, 12)]
    assert "unknown action 'fly'" in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "route = basicauth:Area,joe:sesame",
        "route = ^/ basicauth:Area;joe:sesame",
        'route = ^/ basicauth:Ar"ea,joe:sesa,me',
    ],
)
def test_what_may_be_a_password_is_not_told(routed: Routed, line: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        routed(line)
    assert str(caught.value).startswith("test.ini:1: route: ")
    assert "sesa" not in str(caught.value)
