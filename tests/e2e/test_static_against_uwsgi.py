"""Static files and routing rules, on real uWSGI and on geuwsgi.

The same options, the same requests; what must not differ is the status, the body and
the fields named here. What differs on purpose stands in a table of its own.

Debian's packages of uWSGI have PCRE and the routing plugins; GEUWSGI_REFERENCE_ROUTING
is the path of a command that starts one of those with its plugins loaded.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, Response, free_port
from geuwsgi.testing.process import GEUWSGI, ServerProcess

APP = """
import uwsgi

uwsgi.register_rpc("join", lambda *words: b" ".join(words))
uwsgi.register_rpc("raw", lambda: b"HTTP/1.0 203 Mine\\r\\nX-New: 1\\r\\n\\r\\nbody")

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-App", "1")])
    shown = ("PATH_INFO", "QUERY_STRING", "REQUEST_URI", "REQUEST_METHOD",
             "REMOTE_USER", "SCRIPT_NAME", "FOO", "BAR", "wsgi.url_scheme")
    text = " ".join("%s=%r" % (name, environ.get(name)) for name in shown)
    return [text.encode()]
"""

FIELDS = (
    *("Content-Type", "Content-Length", "Last-Modified", "Content-Range"),
    *("Content-Encoding", "Location", "WWW-Authenticate", "X-App", "X-New", "Expires"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with files of one age, some beside the served ones."""
    base = tmp_path_factory.mktemp("site").resolve()
    (base / "app.py").write_text(APP)
    (base / "types").write_text(
        "text/plain txt\ntext/css css\ntext/html html\ntext/javascript js\n"
    )
    static = base / "static"
    (static / "sub").mkdir(parents=True)
    (base / "beside").mkdir()
    (base / "safe").mkdir()
    (static / "a.txt").write_bytes(b"0123456789")
    (static / "noext").write_bytes(b"x")
    (static / "empty.txt").write_bytes(b"")
    (static / "big.txt").write_bytes(b"y" * 200_000)
    (static / "x.php").write_bytes(b"<?php")
    (static / "sub" / "index.html").write_bytes(b"<p>")
    (static / "sub" / "style.css").write_bytes(b"a{}")
    (static / "packed.txt").write_bytes(b"z" * 100)
    (static / "packed.txt.gz").write_bytes(gzip.compress(b"z" * 100, mtime=0))
    (base / "beside" / "secret.txt").write_bytes(b"secret")
    (base / "safe" / "shared.txt").write_bytes(b"shared")
    (static / "outside.txt").symlink_to("../beside/secret.txt")
    (static / "shared.txt").symlink_to("../safe/shared.txt")
    (static / "inside.txt").symlink_to("a.txt")
    (base / "htpasswd").write_text("joe:rl.3StKT.4T8M\n")
    for path in base.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (1_700_000_000, 1_700_000_000))
    return base


@dataclass(frozen=True)
class Request:
    path: str
    fields: tuple[str, ...] = ()
    method: str = "GET"

    def __str__(self) -> str:
        return " ".join((self.method, self.path, *self.fields))


def ask(address: str, request: Request) -> Response:
    lines = (
        f"{request.method} {request.path} HTTP/1.1",
        *("Host: a.test", "Connection: close", *request.fields),
    )
    with Client(address) as client:
        client.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        return client.read_response(to_head=request.method == "HEAD")


def seen(response: Response) -> tuple[object, ...]:
    named = {name.lower(): value for name, value in response.headers}
    return (
        response.status,
        response.body,
        {name: named[name.lower()] for name in FIELDS if name.lower() in named},
    )


def serve(
    command: Sequence[str], options: Sequence[str], site: Path, directory: Path
) -> tuple[ServerProcess, str]:
    address = f"127.0.0.1:{free_port()}"
    server = ServerProcess(
        [
            *("--http-socket", address, "--chdir", str(site), "--wsgi-file", "app.py"),
            *("--mimefile", str(site / "types"), *options),
        ],
        directory=directory,
        command=command,
    )
    server.wait_for_log("WSGI app 0")
    return server, address


class Pair:
    """Ours and theirs with the same options."""

    def __init__(
        self,
        reference: str,
        options: Sequence[str],
        site: Path,
        directories: Sequence[Path],
    ) -> None:
        self.servers: list[ServerProcess] = []
        self.addresses: list[str] = []
        for command, directory in zip(
            (GEUWSGI, (reference,)), directories, strict=True
        ):
            server, address = serve(command, options, site, directory)
            self.servers.append(server)
            self.addresses.append(address)

    def ask(self, request: Request) -> tuple[Response, Response]:
        ours, theirs = (ask(address, request) for address in self.addresses)
        return ours, theirs

    def close(self) -> None:
        for server in self.servers:
            server.kill()


STATIC = (
    *("--static-map", "/s=static", "--static-map", "/file=static/a.txt"),
    *("--static-map2", "/sub=static", "--check-static", "static/sub"),
    *("--static-index", "index.html", "--static-skip-ext", ".php"),
    *("--honour-range", "--static-gzip-all"),
)

SAME = [
    *map(
        Request,
        (
            *("/s/a.txt", "/s//a.txt", "/s/%61.txt", "/sa.txt", "/s/noext"),
            *("/s/empty.txt", "/s/big.txt", "/s/inside.txt", "/s/x.php", "/s"),
            *("/s/sub", "/s/sub/", "/s/sub/style.css", "/s/missing", "/s/a.txt/"),
            *("/file", "/file/x", "/filex", "/sub/style.css", "/style.css", "/"),
            *("/s/../static/a.txt", "/s/outside.txt", "/s/shared.txt", "/s/packed.txt"),
        ),
    ),
    Request("/s/a.txt", method="HEAD"),
    Request("/s/a.txt", method="POST"),
    Request("/s/a.txt", method="OPTIONS"),
    Request("/s/a.txt", ("Range: bytes=2-5",)),
    Request("/s/a.txt", ("Range: bytes=2-",)),
    Request("/s/a.txt", ("Range: bytes=-3",)),
    Request("/s/big.txt", ("Range: bytes=100000-150000",)),
    Request("/s/a.txt", ("If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT",)),
    Request("/s/packed.txt", ("Accept-Encoding: gzip",)),
    Request("/s/packed.txt", ("Accept-Encoding: deflate",)),
    Request("/s/a.txt", ("Accept-Encoding: gzip",)),
]

#: Request → what we answer and why it is not what uWSGI answers.
DIFFERENT = {
    Request("/s/a.txt", ("Range: lines=1-2",)): (200, "not a unit we know"),
    Request("/s/%2e%2e/beside/secret.txt"): (200, "leaves the directory"),
    Request("/s/a.txt", ("Range: bytes=0-0,5-6",)): (206, "all ranges, not one"),
    Request("/s/a.txt", ("Range: bytes=20-30",)): (416, "says its length, 0"),
    Request("/s/a.txt", ("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT",)): (
        304,
        "tells the date again",
    ),
}


@pytest.fixture(scope="module")
def static_pair(
    reference_uwsgi: str, site: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    directories = [tmp_path_factory.mktemp(name) for name in ("ours", "theirs")]
    pair = Pair(reference_uwsgi, STATIC, site, directories)
    yield pair
    pair.close()


@pytest.mark.parametrize("request_", SAME, ids=str)
def test_files_are_answered_as_by_uwsgi(static_pair: Pair, request_: Request) -> None:
    ours, theirs = static_pair.ask(request_)
    if ours.status == 404 or "X-App" in dict(ours.headers):
        # Ours says how long the application's body is; theirs closes.
        assert (ours.status, ours.body) == (theirs.status, theirs.body)
    else:
        assert seen(ours) == seen(theirs)


@pytest.mark.parametrize(
    ("request_", "status"),
    [(request, status) for request, (status, _) in DIFFERENT.items()],
    ids=str,
)
def test_some_files_are_answered_differently_on_purpose(
    static_pair: Pair, request_: Request, status: int
) -> None:
    ours, theirs = static_pair.ask(request_)
    assert ours.status == status
    assert seen(ours) != seen(theirs)
    assert b"secret" not in ours.body.replace(b"secret.txt", b"")


ROUTES = (
    "route = ^/return/404 return:404",
    "route = ^/break break:403 Nope",
    "route = ^/redirect(.*) redirect:/x$1?y=1",
    "route = ^/moved/(.*) redirect-permanent:http://b.test/$1",
    "route = ^/last last:",
    "route = ^/goto goto:there",
    "route = ^/set/(.*) addvar:FOO=$1-${PATH_INFO}-${NOPE}-$2|$$|$x",
    "route = ^/qs addvar:FOO=${qs[a]}|${cookie[c]}|${base64[PATH_INFO]}|${hex[HTTP_HOST]}",
    "route = ^/rewrite(.*) rewrite:/new$1?q=1",
    "route = ^/plain rewrite-last:/other",
    "route = ^/method setmethod:PUT",
    "route = ^/user setuser:joe",
    "route = ^/uri seturi:/elsewhere?b",
    "route = ^/script setscriptname:/app",
    "route = ^/scheme setscheme:https",
    "route = ^/add addheader:X-New: ${PATH_INFO}",
    "route = ^/del delheader:X-App",
    "route = ^/expires expires:unix=100,value=5",
    "route = ^/hash/(.*) hash:algo=djb33x,items=a;b;c;d;e,key=$1,var=FOO",
    "route = ^/murmur/(.*) hash:algo=murmur2,items=a;b;c;d;e,key=$1,var=FOO",
    "route = ^/auth basicauth:My Realm,joe:secret",
    "route-if = equal:${QUERY_STRING};eq addvar:BAR=equal",
    "route-if = startswith:${PATH_INFO};/starts addvar:BAR=starts",
    "route-if = endswith:${PATH_INFO};ends addvar:BAR=ends",
    "route-if = contains:${PATH_INFO};mid addvar:BAR=contains",
    "route-if = ishigher:${qs[n]};5 addvar:BAR=higher",
    "route-if = islower:${qs[n]};5 addvar:BAR=lower",
    "route-if-not = empty:${HTTP_X_BLANK} addvar:BAR=not-empty",
    "route-if = ipv4in:${REMOTE_ADDR};127.0.0.0/8 addvar:SCRIPT=local",
    "route-if = regexp:${PATH_INFO};^/re.exp addvar:BAR=regexp",
    "route-uri = \\?magic=1$ addvar:BAR=uri",
    "route-host = ^b\\.test$ addvar:BAR=host",
    "route-user-agent = (?i)BOT addvar:BAR=bot",
    "route-referer = ^http://ref addvar:BAR=referer",
    "route-if = ==:${QUERY_STRING};same addvar:BAR=same",
    "route-if = re:${QUERY_STRING};^ma.*es$ addvar:BAR=matches",
    "route = ^/send$ disableheaders:",
    "route = ^/send$ send-crnl:HTTP/1.0 201 Mine",
    "route = ^/send$ send-crnl:X-New: ${PATH_INFO}",
    "route = ^/send$ send-crnl:",
    "route = ^/send$ send:abc",
    "route = ^/send$ break:",
    "route = ^/rpc$ rpc:join a ${PATH_INFO} b",
    "route = ^/call$ call:join a",
    "route = ^/rpcraw$ rpcraw:raw",
    "route = ^/rpcvar$ rpcvar:FOO join ${PATH_INFO} b",
    "route = ^/rpcvar-missing$ rpcvar:FOO missing",
    "route = ^/rpcret/next$ rpcret:join next",
    "route = ^/rpcret/last$ rpcret:join last",
    "route = ^/rpcret addvar:FOO=after",
    "route = ^/number$ cacheinc:key=number,value=5",
    "route = ^/number$ cachemul:key=number,value=6",
    "route = ^/number$ cachedec:key=number",
    "route = ^/number$ cachediv:key=number,value=2",
    "route = ^/number$ cachevar:key=number,var=FOO",
    "route = ^/keep/(.*)$ cacheset:key=kept,value=$1",
    "route = ^/kept$ cache-continue:key=kept",
    "route-run = addvar:FOO2=x",
    "route = ^/tail$ addvar:FOO=tail",
    "route-label = there",
    "route = ^/goto addvar:BAR=there",
)

ROUTED = [
    *map(
        Request,
        (
            *("/", "/return/404", "/break", "/redirect/z", "/moved/x/y", "/last"),
            *("/goto", "/set/x", "/qs?a=b%20c&d", "/rewrite/z?old=1", "/rewrite"),
            *("/plain?x", "/user", "/uri", "/script", "/scheme", "/add", "/del"),
            *("/expires", "/hash/one", "/hash/two", "/murmur/abc", "/auth", "/x?eq"),
            *("/starts", "/xends", "/amidb", "/x?n=6", "/x?n=4", "/x?n=5", "/re_exp"),
            *("/x?magic=1", "/tail", "/method", "/x?same", "/x?matches", "/send"),
            *(
                f"/murmur/{key}"
                for key in ("", "abcd", "abcdefg", "eighteen_and_more", "%FF%80abc")
            ),
            *(
                "/hash/%C3%A9%FF",
                "/rpc",
                "/call",
                "/rpcraw",
                "/rpcvar",
                "/rpcvar-missing",
            ),
            *("/rpcret/next", "/rpcret/last"),
            *("/number", "/number", "/keep/abc", "/kept"),
        ),
    ),
    Request("/qs", ("Cookie: b=1; c=2",)),
    Request("/x", ("X-Blank: y",)),
    Request("/x", ("User-Agent: some bot",)),
    Request("/x", ("Referer: http://ref/1",)),
    Request("/auth", ("Authorization: Basic am9lOnNlY3JldA==",)),
    Request("/auth", ("Authorization: Basic am9lOndyb25n",)),
]


@pytest.fixture(scope="module")
def routing_pair(
    site: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    reference = os.environ.get("GEUWSGI_REFERENCE_ROUTING")
    if not reference:
        pytest.skip("GEUWSGI_REFERENCE_ROUTING, a uWSGI with PCRE, is missing")
    options = ["--cache2", "name=default,items=10"]
    for rule in ROUTES:
        name, _, value = rule.partition(" = ")
        options += (f"--{name}", value)
    directories = [tmp_path_factory.mktemp(name) for name in ("ours", "theirs")]
    pair = Pair(reference, options, site, directories)
    yield pair
    pair.close()


@pytest.mark.parametrize("request_", ROUTED, ids=str)
def test_rules_do_what_they_do_in_uwsgi(routing_pair: Pair, request_: Request) -> None:
    ours, theirs = routing_pair.ask(request_)
    assert ours.status == theirs.status
    assert ours.body == theirs.body
    named = [dict(response.headers) for response in (ours, theirs)]
    for field in ("Location", "WWW-Authenticate", "X-App", "X-New", "Expires"):
        assert named[0].get(field) == named[1].get(field), field
