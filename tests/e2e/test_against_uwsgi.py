"""The same configuration and the same requests, on real uWSGI and on geuwsgi.

Where uWSGI is right, the application sees the same environ, the visitor the same
response and the log the same line. Where we are different on purpose, the difference
stands here and in docs/differences.md.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, Response, free_port
from geuwsgi.testing.packet import encode_packet, web_server_vars
from geuwsgi.testing.process import GEUWSGI, ServerProcess

APPS = Path(__file__).parent / "apps"

INI = """\
[uwsgi]
http-socket = {http}
socket = {uwsgi}
http-socket = %d/http.sock
master = true
processes = 2
gevent = 50
chdir = %d
wsgi-file = pages.py
callable = bare
vacuum = true
die-on-term = true
buffer-size = 16384
"""


@dataclass(frozen=True)
class Running:
    server: ServerProcess
    http: str
    uwsgi: str
    http_unix: str


@dataclass(frozen=True)
class Both:
    ours: Running
    theirs: Running


def start(directory: Path, command: Sequence[str]) -> Running:
    shutil.copytree(APPS, directory, dirs_exist_ok=True)
    http, uwsgi = (f"127.0.0.1:{free_port()}" for _ in range(2))
    (directory / "site.ini").write_text(INI.format(http=http, uwsgi=uwsgi))
    server = ServerProcess(["--ini", "site.ini"], directory=directory, command=command)
    server.wait_for_log("spawned uWSGI worker", count=2)
    return Running(server, http, uwsgi, str(directory / "http.sock"))


@pytest.fixture(scope="module")
def both(
    reference_uwsgi: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    started = []
    try:
        for name, command in (("ours", GEUWSGI), ("theirs", (reference_uwsgi,))):
            started.append(start(tmp_path_factory.mktemp(name), command))
        yield Both(*started)
    finally:
        for running in started:
            running.server.kill()


def ask(address: str, request: bytes) -> Response:
    with Client(address) as client:
        client.send(request)
        return client.read_response(to_head=request.startswith(b"HEAD"))


# One request a case; HOST is replaced by the address of the server asked.
HTTP_REQUESTS = {
    "a plain one": b"GET /environ HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "a query": b"GET /environ?a=1&b=%20+c HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "an empty query": b"GET /environ? HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "escapes": b"GET /environ/a%20b/%C3%A9/%2F HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "dots": b"GET /x/../environ/./y HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "two slashes": b"GET /environ//x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "semicolons": b"GET /environ;a=b;c HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "many fields": b"GET /environ HTTP/1.1\r\nHost: HOST\r\nUser-Agent: curl/7.88.1\r\n"
    b"Accept: */*\r\nAccept-Encoding: gzip, br\r\nX-Forwarded-For: 10.0.0.9\r\n"
    b'Cookie: a=1; b=2\r\nIf-None-Match: W/"x"\r\nX-Empty:\r\n\r\n',
    "two of one field": b"GET /environ HTTP/1.1\r\nHost: HOST\r\nX-A: 1\r\n"
    b"X-B: x\r\nX-A: 2\r\n\r\n",
    "latin-1": b"GET /environ HTTP/1.1\r\nHost: HOST\r\nX-Name: caf\xe9\r\n\r\n",
    "a body": b"POST /environ HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n"
    b"Content-Type: text/x; charset=utf-8\r\n\r\nabc",
    "https said by a proxy": b"GET /environ HTTP/1.1\r\nHost: HOST\r\n"
    b"X-Forwarded-Proto: https\r\n\r\n",
    "http 1.0": b"GET /environ HTTP/1.0\r\nHost: HOST\r\n\r\n",
    "another method": b"PROPFIND /environ HTTP/1.1\r\nHost: HOST\r\n\r\n",
}

# What only we say, and what only they do.
OURS_ONLY = {
    "wsgi.early_hints",
    "REMOTE_PORT",
    "wsgi.input_terminated",
    "SERVER_SOFTWARE",
    "REQUEST_SCHEME",
}
THEIRS_ONLY = {
    "x-wsgiorg.fdevent.readable",
    "x-wsgiorg.fdevent.timeout",
    "x-wsgiorg.fdevent.writable",
}
# The same meaning in other words: objects, addresses, versions, numbers of cores.
NOT_COMPARED = {
    "SERVER_PORT",
    "HTTP_HOST",
    "uwsgi.version",
    "uwsgi.core",
    # Requests run side by side in one process: PEP 3333 calls that multithreaded.
    "wsgi.multithread",
    "wsgi.input",
    "wsgi.errors",
    "wsgi.file_wrapper",
}


def compare_environs(ours: Response, theirs: Response) -> None:
    we, they = json.loads(ours.body), json.loads(theirs.body)
    assert set(we) - set(they) <= OURS_ONLY
    assert set(they) - set(we) <= THEIRS_ONLY
    compared = set(they) & set(we) - NOT_COMPARED
    assert {name: we[name] for name in compared} == {
        name: they[name] for name in compared
    }


@pytest.mark.parametrize("name", HTTP_REQUESTS)
def test_the_environ_over_http(both: Both, name: str) -> None:
    ours, theirs = (
        ask(running.http, HTTP_REQUESTS[name].replace(b"HOST", running.http.encode()))
        for running in (both.ours, both.theirs)
    )
    compare_environs(ours, theirs)
    assert json.loads(ours.body)["SERVER_PORT"] == both.ours.http.split(":")[1]


def test_the_environ_over_http_on_a_unix_socket(both: Both) -> None:
    ours, theirs = (
        ask(running.http_unix, b"GET /environ HTTP/1.1\r\nHost: a\r\n\r\n")
        for running in (both.ours, both.theirs)
    )
    compare_environs(ours, theirs)
    we, they = json.loads(ours.body), json.loads(theirs.body)
    assert we["SERVER_PORT"] == they["SERVER_PORT"]


PACKETS = {
    "as nginx sends it": web_server_vars("/environ?a=b"),
    "with a script name": web_server_vars("/environ") | {"SCRIPT_NAME": "/mounted"},
    "with https": web_server_vars("/environ") | {"HTTPS": "on"},
    "with a scheme": web_server_vars("/environ") | {"UWSGI_SCHEME": "https"},
    "with variables of its own": web_server_vars("/environ")
    | {"MY_VAR": "x", "HTTP_X": "", "REMOTE_USER": "ann", "empty": ""},
    "with a body": web_server_vars("/environ", method="POST", body=b"abc"),
    "with a length of 0": web_server_vars("/environ") | {"CONTENT_LENGTH": "0"},
}


@pytest.mark.parametrize("name", PACKETS)
def test_the_environ_over_the_uwsgi_protocol(both: Both, name: str) -> None:
    body = b"abc" if "body" in name else b""
    ours, theirs = (
        ask(running.uwsgi, encode_packet({"SCRIPT_NAME": ""} | PACKETS[name]) + body)
        for running in (both.ours, both.theirs)
    )
    compare_environs(ours, theirs)
    assert ours.version == theirs.version == "HTTP/1.1"


# Header fields that we add or place ourselves: connections stay open, so lengths are
# told, and HTTP wants a date.
FRAMING = {"date", "connection", "content-length", "transfer-encoding"}


def fields_of(response: Response) -> list[tuple[str, str]]:
    return [
        (name, value) for name, value in response.headers if name.lower() not in FRAMING
    ]


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/fields",
        "/stream",
        "/empty-pieces",
        "/no-body",
        "/not-modified",
        "/write",
        "/own-file",
        "/big?size=200000",
        "/nowhere",
    ],
)
@pytest.mark.parametrize("kind", ["http", "uwsgi"])
def test_the_response(both: Both, kind: str, target: str) -> None:
    if kind == "http":
        request = f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        sent = request.encode()
    else:
        sent = encode_packet({"SCRIPT_NAME": ""} | web_server_vars(target))
    ours = ask(getattr(both.ours, kind), sent)
    theirs = ask(getattr(both.theirs, kind), sent)
    assert (ours.version, ours.status, ours.reason) == (
        theirs.version,
        theirs.status,
        theirs.reason,
    )
    assert fields_of(ours) == fields_of(theirs)
    length = theirs.header("Content-Length")
    assert length in (None, ours.header("Content-Length"))
    assert ours.body == theirs.body


def masked(line: str) -> str:
    """A request's log line without what differs from run to run."""
    for pattern, mask in (
        (r"pid: \d+", "pid: N"),
        (r"req: \d+/\d+", "req: N/N"),
        (r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}\]", "[TIME]"),
        (r"in \d+ msecs", "in N msecs"),
        (r"\d+ switches on core \d+", "N switches on core N"),
        # We add Date and may add Connection: these are counted too.
        (r"\d+ headers in \d+ bytes", "N headers in N bytes"),
    ):
        line = re.sub(pattern, mask, line)
    return line


@pytest.mark.parametrize("kind", ["http", "uwsgi"])
@pytest.mark.parametrize(
    "target", ["/?log=1", "/fields?log=2", "/no-body?log=3", "/nowhere?log=%204"]
)
def test_the_log_line(both: Both, kind: str, target: str) -> None:
    target += "&" + kind
    lines = []
    for running in (both.ours, both.theirs):
        address = getattr(running, kind)
        if kind == "http":
            # Not the address: a port of another length makes other byte counts.
            host = b"Host: site.test\r\n"
            sent = b"GET %s HTTP/1.1\r\n%s\r\n" % (target.encode(), host)
        else:
            sent = encode_packet(web_server_vars(target) | {"SCRIPT_NAME": ""})
        ask(address, sent)
        (match,) = running.server.wait_for_log(
            rf"^\[pid: .* GET {re.escape(target)} => .*$"
        )[-1:]
        line = masked(match[0])
        if kind == "http":
            # REMOTE_PORT is one of our variables and none of theirs.
            line = re.sub(r"\{\d+ vars in \d+ bytes\}", "{N vars in N bytes}", line)
        lines.append(line)
    assert lines[0] == lines[1]


def test_the_lines_that_supervisors_wait_for(both: Both) -> None:
    for pattern in (
        r"^WSGI app 0 \(mountpoint=''\) ready in \d+ seconds on interpreter 0x[0-9a-f]+ "
        r"pid: \d+ \(default app\)$",
        r"^spawned uWSGI master process \(pid: \d+\)$",
        r"^spawned uWSGI worker 1 \(pid: \d+, cores: 50\)$",
        r"^spawned uWSGI worker 2 \(pid: \d+, cores: 50\)$",
        r"^\*\*\* running gevent loop engine \[addr:0x[0-9a-f]+\] \*\*\*$",
    ):
        both.theirs.server.wait_for_log(pattern)
        both.ours.server.wait_for_log(pattern)


HOOKED = """\
import uwsgi

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"served"]

def after():
    print("after", uwsgi.worker_id(), flush=True)
    uwsgi.set_logvar("mark", "marked")
    raise ValueError("told")

uwsgi.after_req_hook = after
"""


def test_the_hook_after_a_request(reference_uwsgi: str, tmp_path: Path) -> None:
    """It runs in the request, before the line in the log; what it raises is told."""
    (tmp_path / "hooked.py").write_text(HOOKED)
    told = []
    for command in GEUWSGI, (reference_uwsgi,):
        address = f"127.0.0.1:{free_port()}"
        arguments = [
            *("--http-socket", address, "--master", "--gevent", "5"),
            *("--wsgi-file", "hooked.py", "--log-format", "line of %(uri): %(mark)"),
        ]
        with ServerProcess(arguments, directory=tmp_path, command=command) as server:
            server.wait_for_log("spawned uWSGI worker")
            for path in "/one", "/two":
                response = ask(address, f"GET {path} HTTP/1.0\r\n\r\n".encode())
                assert response.text == "served"
            server.wait_for_log("line of /two")
            lines = server.log.splitlines()
        starts = ("after", "ValueError", "line of")
        told.append([line for line in lines if line.startswith(starts)])
    assert told[0] == told[1]
    assert told[0][-1] == "line of /two: marked"
