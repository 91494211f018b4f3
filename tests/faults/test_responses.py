"""What goes back to clients, whatever the application and the client try together.

One request is followed by another on the same connection: what is between them is all
that the first one may have caused.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client
from tests.faults.conftest import APPS, start

LINES = """\
processes = 1
gevent = 20
disable-logging = true
static-map = /static=public
x-sendfile = public
route = ^/redirect redirect:http://b${PATH_INFO}?${QUERY_STRING}
route = ^/field addheader:X-Path: ${PATH_INFO}
route = ^/cookie addheader:X-Cookie: ${cookie[a]}
route = ^/variable addvar:HTTP_HOST=${PATH_INFO}
route = ^/realm basicauth:${PATH_INFO},u:p
route = ^/logged log:path is ${PATH_INFO}
route = ^/file file:filename=public/${PATH_INFO}
"""

EVIL = "a%0d%0aSet-Cookie:%20evil=1"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    directory = Path(
        shutil.copytree(APPS, tmp_path_factory.mktemp("responses") / "site")
    )
    public, private = directory / "public", directory / "private"
    public.mkdir()
    private.mkdir()
    (private / "file").write_text("hidden")
    (public / "file").write_text("shown")
    (public / "a\r\nSet-Cookie: evil=1").write_text("odd")
    (public / "outside").symlink_to(private)
    (public / "link").symlink_to(private / "file")
    server, address = start(directory, LINES, module="answers:application")
    with server:
        yield address, directory


def ask(address: str, request: str) -> bytes:
    """Everything that comes for a request and a second one behind it.

    Both leave at once: the first may end the connection.
    """
    head = f"{request} HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n".encode("latin-1")
    second = b"GET /static/file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with Client(address) as client:
        client.send(head + second)
        return client.read_to_end()


def told(address: str, request: str) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, fields and body of the first answer. The second one has to be there."""
    received = ask(address, request)
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    pairs = [line.partition(b": ")[::2] for line in lines]
    fields = {name.lower(): value for name, value in pairs}
    assert len(fields) == len(pairs), f"a field twice: {head!r}"
    assert b"set-cookie" not in fields
    for hidden in (b"Traceback", os.fsencode(APPS.parent), b"/site/", b"secret"):
        assert hidden not in received
    if fields.get(b"connection") == b"close":
        assert b"HTTP/1.1 " not in rest
        return int(first.split()[1]), fields, rest
    body, mark, second = rest.partition(b"HTTP/1.1 ")
    assert mark and second.startswith(b"200 "), received
    assert second.endswith(b"\r\n\r\nshown")
    return int(first.split()[1]), fields, body


FORBIDDEN = (
    *(f"{path}?{EVIL}" for path in ("/value", "/name", "/cookie", "/location")),
    *(f"{path}?{EVIL}" for path in ("/length", "/sendfile")),
    f"/status?200%20OK{EVIL}",
    *("/value?a%0db", "/value?a%0ab", "/value?a%00b", "/name?", "/name?a%20b"),
    *("/name?a:", "/name?a%3a", "/name?%e9", "/status?abc", "/status?99%20x"),
    *("/status?1000%20x", "/status?100%20Continue", "/status?101%20Switching"),
    *("/status?200%0aOK", "/length?-1", "/length?+4", "/length?4e0", "/length?0x4"),
    *("/length?4,4", "/length?%b2", "/two-lengths", "/types/status", "/types/value"),
    *("/types/bytes", "/types/fields", "/types/text", "/types/number"),
    *("/types/nothing", "/silent", "/raise"),
)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_no_application_may_answer_is_an_error(
    site: tuple[str, Path], method: str
) -> None:
    address, _ = site
    for target in FORBIDDEN:
        if method == "HEAD" and target.startswith("/types/") and "text" in target:
            continue  # nobody looks at a body that is not sent
        status, fields, body = told(address, f"{method} {target}")
        assert status == 500, target
        assert fields[b"connection"] == b"close", target
        assert body == (b"" if method == "HEAD" else b"Internal Server Error\n"), target


def test_one_framing_and_no_body_where_none_may_be(site: tuple[str, Path]) -> None:
    address, _ = site
    status, fields, body = told(address, "GET /coding")
    assert (status, body) == (200, b"body")
    assert fields[b"content-length"] == b"4"
    assert b"transfer-encoding" not in fields
    for target in ("/coding", "/length?4", "/pieces", "/no-content", "/not-modified"):
        status, fields, body = told(address, f"HEAD {target}")
        assert body == b"", target
        assert not (b"content-length" in fields and b"transfer-encoding" in fields)
        if status in (204, 304):
            status, fields, body = told(address, f"GET {target}")
            assert body == b"" and b"transfer-encoding" not in fields, target
            assert status == 304 or b"content-length" not in fields
    # More than was announced is cut, less is seen to be missing.
    assert told(address, "GET /length?2")[2] == b"bo"
    assert ask(address, "GET /length?9").endswith(b"\r\n\r\nbody")
    # What is between two hops is the server's to say.
    fields = told(address, "GET /hop-by-hop")[1]
    assert not fields.keys() & {b"upgrade", b"trailer", b"keep-alive"}


def test_what_clients_send_gets_into_no_head(site: tuple[str, Path]) -> None:
    address, directory = site
    assert told(address, f"GET /redirect{EVIL}?{EVIL}")[0] == 302
    assert told(address, f"GET /field{EVIL}")[0] in (400, 500)
    assert told(address, f"GET /variable{EVIL}")[0] == 404
    assert told(address, f"GET /realm{EVIL}")[0] == 401
    assert told(address, "GET /logged%0d%0aFORGED%0aFORGED")[0] == 404
    log = (directory / "server.log").read_text()
    assert "path is /logged" in log
    assert "\nFORGED" not in log
    assert told(address, f"GET /static/{EVIL}")[::2] == (200, b"odd")
    for path in ("/origin", "/protocol"):
        with Client(address) as client:
            client.send(
                f"GET {path}?{EVIL} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            assert b"evil" not in client.read_until(b"\r\n\r\n").lower()


OUTSIDE = (
    *("../private/file", "%2e%2e/private/file", "..%2fprivate/file", "outside/file"),
    *("%252e%252e/private/file", "link", "./../private/file", "..//private/file"),
    *("..\\private\\file", "%c0%ae%c0%ae/private/file", ".%00./private/file"),
    *("/private/file", "file/../../private/file", "outside/../private/file"),
    *("....//private/file", "..;/private/file", "%2e%2e%5cprivate%5cfile"),
)


def test_no_file_outside_of_the_roots_is_told(site: tuple[str, Path]) -> None:
    address, directory = site
    absolute = f"{directory}/private/file"
    targets = [f"/static/{path}" for path in OUTSIDE]
    targets += [f"/file/{path}" for path in OUTSIDE]
    targets += [f"/sendfile?{path}" for path in ("../private/file", "link", absolute)]
    targets += [f"/sendfile?{path}" for path in ("/proc/self/environ", "/etc/passwd")]
    targets += [
        f"/static/{absolute}",
        f"/static{absolute}",
        "/static//proc/self/environ",
    ]
    targets += ["/static/FILE", "/static/file/", "/static/" + "a/" * 2000]
    targets += ["/static/" + "a" * 300, "/static/file%00", "/static/file%00.html"]
    for target in targets:
        received = ask(address, f"GET {target}")
        assert b"hidden" not in received and b"root:" not in received, target
        assert not received.startswith(b"HTTP/1.1 200 "), target
