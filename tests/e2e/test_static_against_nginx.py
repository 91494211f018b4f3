"""Static files beside real nginx: paths that want to leave, ranges, conditions.

Both serve the same directory. Of a path that leaves it nothing may come back; what a
range or a condition selects must be the same, but for a table of differences, each
with the sentence of RFC 9110 that allows or asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from geuwsgi.testing.client import Client, MalformedResponse, Response, free_port
from geuwsgi.testing.process import ServerProcess

APP = """
def application(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"application"]
"""

NGINX_CONF = """\
{user}
daemon off;
pid {base}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    types {{ text/plain txt; }}
    client_body_temp_path {base}/body;
    proxy_temp_path {base}/proxy;
    uwsgi_temp_path {base}/uwsgi;
    fastcgi_temp_path {base}/fastcgi;
    scgi_temp_path {base}/scgi;
    server {{
        listen {address};
        location /s/ {{ alias {base}/static/; disable_symlinks on from={base}/static; }}
        location / {{ return 404; }}
    }}
}}
"""


@dataclass(frozen=True)
class Pair:
    """The two servers' addresses."""

    ours: str
    theirs: str


@pytest.fixture(scope="module")
def pair(
    program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    base = tmp_path_factory.mktemp("pair").resolve()
    static = base / "static"
    (static / "sub").mkdir(parents=True)
    (base / "static-private").mkdir()
    (base / "secret.txt").write_bytes(b"SECRET")
    (base / "static-private" / "secret.txt").write_bytes(b"SECRET")
    (static / "a.txt").write_bytes(b"0123456789")
    (static / "sub" / "b.txt").write_bytes(b"b")
    (static / "big.txt").write_bytes(bytes(range(256)) * 400)
    (static / "link.txt").symlink_to("../secret.txt")
    (static / "linked").symlink_to("..")
    for path in static.rglob("*.txt"):
        if not path.is_symlink():
            os.utime(path, (1_700_000_000, 1_700_000_000))
    (base / "app.py").write_text(APP)
    pair = Pair(*(f"127.0.0.1:{free_port()}" for _ in range(2)))
    (base / "nginx.conf").write_text(
        NGINX_CONF.format(
            base=base,
            address=pair.theirs,
            user="user root;" if os.getuid() == 0 else "",
        )
    )
    nginx = [program("nginx"), "-e", "stderr", "-c", str(base / "nginx.conf")]
    options = [
        *("--http-socket", pair.ours, "--gevent", "10", "--wsgi-file", "app.py"),
        *("--static-map", "/s=static"),
    ]
    for name in ("ours", "theirs"):
        (base / name).mkdir()
    with (
        ServerProcess(options, directory=base) as ours,
        ServerProcess((), directory=base / "theirs", command=nginx) as theirs,
    ):
        ours.wait_until_ready(pair.ours)
        theirs.wait_until_ready(pair.theirs)
        yield pair


def ask(address: str, target: bytes, *fields: str, method: str = "GET") -> Response:
    lines = (b"%b %b HTTP/1.1" % (method.encode(), target), b"Host: a.test")
    named = [field.encode() for field in fields]
    with Client(address) as client:
        client.send(b"\r\n".join((*lines, b"Connection: close", *named)) + b"\r\n\r\n")
        return client.read_response(to_head=method == "HEAD")


TRAVERSALS = [
    b"/s/../secret.txt",
    b"/s/..%2fsecret.txt",
    b"/s/%2e%2e/secret.txt",
    b"/s/%2E%2E%2Fsecret.txt",
    b"/s/.%2e/secret.txt",
    b"/s/..//secret.txt",
    b"/s//../secret.txt",
    b"/s/./../secret.txt",
    b"/s/sub/../../secret.txt",
    b"/s/sub/%2e%2e/%2e%2e/secret.txt",
    b"/s/..\\secret.txt",
    b"/s/..%5csecret.txt",
    b"/s/%252e%252e/secret.txt",
    b"/s/%c0%ae%c0%ae/secret.txt",
    b"/s/..%c0%afsecret.txt",
    b"/s/%u002e%u002e/secret.txt",
    b"/s/..;/secret.txt",
    b"/s/...//secret.txt",
    b"/s/a.txt%00.jpg",
    b"/s/%00/../../secret.txt",
    b"/s/..%00/secret.txt",
    b"/s../secret.txt",
    b"/s..%2fsecret.txt",
    b"/s-private/secret.txt",
    b"/s/../static-private/secret.txt",
    b"/s/link.txt",
    b"/s/linked/secret.txt",
    b"//s/../secret.txt",
    b"/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    b"/s/../../../../../../../../../etc/passwd",
    b"/s//etc/passwd",
    b"/s/%2fetc/passwd",
    b"/s/file:///etc/passwd",
    b"http://a.test/s/../secret.txt",
    b"/s/a.txt?/../../secret.txt",
    b"/s/" + b"../" * 200 + b"etc/passwd",
    b"/s/" + b"%2e%2e%2f" * 200 + b"etc/passwd",
    b"/s/" + b"x" * 300,
    b"/s/" + b"sub/" * 500 + b"b.txt",
    b"/s/a.txt/",
    b"/s/a.txt/.",
    b"/s/sub/.",
]


@pytest.mark.parametrize("target", TRAVERSALS, ids=lambda target: repr(target)[:60])
def test_no_path_leaves_the_directory(pair: Pair, target: bytes) -> None:
    for address in (pair.ours, pair.theirs):
        try:
            response = ask(address, target)
        except MalformedResponse:
            continue
        assert b"SECRET" not in response.body
        assert b"root:" not in response.body
        if b"a.txt?" not in target:
            # nginx resolves the dots; what then lies in the directory is served.
            assert address == pair.theirs or response.status in (400, 404)


RANGES = [
    *("bytes=0-0", "bytes=2-5", "bytes=2-", "bytes=-3", "bytes=-100", "bytes=0-"),
    *("bytes=5-1000", "bytes=9-9", "bytes=9-", "bytes=10-", "bytes=10-20"),
    *("bytes=-0", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=1"),
    *("bytes=0x1-2", "bytes=1-2x", "bytes =1-2", "lines=1-2", "1-2", ""),
    *(
        "bytes=0-18446744073709551615",
        "bytes=99999999999999999999-",
    ),
    *("bytes=10-,0-0", "bytes=0-0,10-20", "bytes= 2-5", "bytes=2 -5"),
]

#: Range → the status of ours, and why it is not nginx's.
RANGES_DIFFERENT = {
    "bytes=-": (200, "§14.2: a field that is not valid may be ignored"),
    "bytes=0-18446744073709551615": (
        206,
        "§14.1.2: a last position behind the end is the end",
    ),
    "bytes=2 -5": (200, "§14.1.1: there are no blanks within a range"),
    "bytes=a-b": (200, "§14.2"),
    "bytes=5-2": (200, "§14.1.1: a range that ends before it begins is invalid"),
    "bytes=1": (200, "§14.2"),
    "bytes=0x1-2": (200, "§14.2"),
    "bytes=1-2x": (200, "§14.2"),
}


def seen(response: Response) -> tuple[object, ...]:
    named = dict(response.headers)
    return response.status, response.body, named.get("Content-Range")


@pytest.mark.parametrize("value", RANGES, ids=lambda value: value or "empty")
def test_ranges_select_what_they_do_for_nginx(pair: Pair, value: str) -> None:
    ours, theirs = (
        ask(address, b"/s/a.txt", f"Range: {value}")
        for address in (pair.ours, pair.theirs)
    )
    if value in RANGES_DIFFERENT:
        assert ours.status == RANGES_DIFFERENT[value][0]
        assert theirs.status != ours.status
    elif ours.status == theirs.status == 416:
        # nginx adds a page to it.
        assert dict(ours.headers)["Content-Range"] == "bytes */10"
        assert dict(theirs.headers)["Content-Range"] == "bytes */10"
    else:
        assert seen(ours) == seen(theirs)


@pytest.mark.parametrize("value", ["bytes=0-1,4-5", "bytes=-2,0-0", "bytes=0-0,-1"])
def test_several_ranges_are_the_parts_that_nginx_sends(pair: Pair, value: str) -> None:
    parts = []
    for address in (pair.ours, pair.theirs):
        response = ask(address, b"/s/a.txt", f"Range: {value}")
        assert response.status == 206
        kind = dict(response.headers)["Content-Type"]
        boundary = kind.partition("boundary=")[2].encode()
        assert kind.startswith("multipart/byteranges")
        assert int(dict(response.headers)["Content-Length"]) == len(response.body)
        pieces = response.body.split(b"--" + boundary)
        found = []
        for piece in pieces[1:-1]:
            head, _, body = piece.partition(b"\r\n\r\n")
            wanted = b"Content-Range: "
            line = next(x for x in head.split(b"\r\n") if x.startswith(wanted))
            found.append((line, body.removesuffix(b"\r\n")))
        parts.append(found)
    assert parts[0] == parts[1]


DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
EARLIER = "Tue, 14 Nov 2023 22:13:19 GMT"
CONDITIONS: list[tuple[str, ...]] = [
    (f"If-Modified-Since: {DATE}",),
    (f"If-Modified-Since: {EARLIER}",),
    ("If-Modified-Since: yesterday",),
    (f"If-Unmodified-Since: {DATE}",),
    (f"If-Unmodified-Since: {EARLIER}",),
    ('If-None-Match: "other"',),
    ("If-None-Match: *",),
    ('If-Match: "other"',),
    ("If-Match: *",),
    ('If-None-Match: "other"', f"If-Modified-Since: {DATE}"),
    ("Range: bytes=0-1", f"If-Range: {DATE}"),
    ("Range: bytes=0-1", f"If-Range: {EARLIER}"),
    ("Range: bytes=0-1", 'If-Range: "other"'),
    ("Range: bytes=0-1", f"If-Modified-Since: {DATE}"),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("fields", CONDITIONS, ids=" ".join)
def test_conditions_are_judged_as_by_nginx(
    pair: Pair, fields: tuple[str, ...], method: str
) -> None:
    ours, theirs = (
        ask(address, b"/s/a.txt", *fields, method=method)
        for address in (pair.ours, pair.theirs)
    )
    if method == "HEAD" and "Range: bytes=0-1" in fields and theirs.status == 206:
        # §14.2: ranges are defined for GET only, else they are to be ignored.
        assert ours.status == 200
        return
    assert ours.status == theirs.status
    if ours.status in (200, 206):
        assert ours.body == theirs.body
        for name in ("Last-Modified", "Content-Type", "Content-Range"):
            assert dict(ours.headers).get(name) == dict(theirs.headers).get(name)


def test_a_tag_is_recognised_again_by_both(pair: Pair) -> None:
    for address in (pair.ours, pair.theirs):
        tag = dict(ask(address, b"/s/a.txt").headers)["ETag"]
        assert ask(address, b"/s/a.txt", f"If-None-Match: {tag}").status == 304
        assert ask(address, b"/s/a.txt", f"If-None-Match: W/{tag}").status == 304
        assert ask(address, b"/s/a.txt", f"If-Match: {tag}").status == 200
        answer = ask(address, b"/s/a.txt", "Range: bytes=0-1", f"If-Range: {tag}")
        assert (answer.status, answer.body) == (206, b"01")


def test_a_large_file_is_the_same(pair: Pair) -> None:
    ours, theirs = (ask(address, b"/s/big.txt") for address in (pair.ours, pair.theirs))
    assert seen(ours) == seen(theirs)
