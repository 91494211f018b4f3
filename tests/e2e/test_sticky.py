"""Sessions in the memory of one worker of several."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.testing.client import Client, Response, exchange, free_port, get
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.packet import encode_packet, web_server_vars

APP = """
import json, os, secrets
from urllib.parse import parse_qs

SESSIONS = set()

def application(environ, start_response):
    session = parse_qs(environ["QUERY_STRING"]).get("sid", [""])[0]
    status = "200 OK"
    if not session:
        session = secrets.token_urlsafe(12)
        SESSIONS.add(session)
    elif session not in SESSIONS:
        status = "400 Unknown session"
    length = int(environ.get("CONTENT_LENGTH") or 0)
    read = len(environ["wsgi.input"].read(length))
    answer = {
        "sid": session,
        "pid": os.getpid(),
        "read": read,
        "addr": environ["REMOTE_ADDR"],
    }
    body = json.dumps(answer).encode()
    headers = [
        ("Content-Type", "application/json"), ("Content-Length", str(len(body)))
    ]
    start_response(status, headers)
    return [body]
"""


class Sticky:
    """Four workers, one of the ways to tell a session."""

    def __init__(self, start: StartServer, directory: Path, way: str) -> None:
        self.http = f"127.0.0.1:{free_port()}"
        self.uwsgi = f"127.0.0.1:{free_port()}"
        (directory / "app.py").write_text(APP)
        (directory / "sticky.ini").write_text(
            f"[uwsgi]\nhttp = {self.http}\nsocket = {self.uwsgi}\n"
            "wsgi-file = app.py\ngevent = 100\nmaster = true\nprocesses = 4\n"
            f"sticky = {way}\n"
        )
        self.server = start("sticky.ini", directory=directory)
        self.server.wait_until_ready(self.http, self.uwsgi)


def answer(response: Response) -> Any:
    assert response.status == 200, response
    return json.loads(response.body)


def test_a_session_in_the_query_finds_its_worker(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    site = Sticky(geuwsgi_server, tmp_path, "query:sid")
    workers: Counter[int] = Counter()
    with ExitStack() as held:
        # Connections that stay are shared among the workers; short ones may all go
        # to the same.
        for _ in range(12):
            client = held.enter_context(Client(site.http))
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            begun = answer(client.read_response())
            workers[begun["pid"]] += 1
            target = f"/?EIO=4&sid={begun['sid']}"
            for _ in range(4):
                assert answer(get(site.http, target))["pid"] == begun["pid"]
            packet = encode_packet(web_server_vars(target))
            assert answer(exchange(site.uwsgi, packet))["pid"] == begun["pid"]
    assert len(workers) > 1, "all sessions began in one worker"


def test_one_connection_may_carry_several_sessions(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    site = Sticky(geuwsgi_server, tmp_path, "query:sid")
    begun = [answer(get(site.http, "/")) for _ in range(10)]
    with Client(site.http) as client:
        for session in begun * 3:
            target = f"/?sid={session['sid']}"
            client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            continued = answer(client.read_response())
            assert continued["pid"] == session["pid"]
            assert continued["addr"] == "127.0.0.1"


def test_a_body_goes_along(geuwsgi_server: StartServer, tmp_path: Path) -> None:
    site = Sticky(geuwsgi_server, tmp_path, "query:sid")
    size = 300_000
    for _ in range(6):
        session = answer(get(site.http, "/"))
        head = (
            f"POST /?sid={session['sid']} HTTP/1.1\r\nHost: a\r\n"
            f"Connection: close\r\nContent-Length: {size}\r\n\r\n"
        )
        posted = answer(exchange(site.http, head.encode() + b"x" * size))
        assert posted["pid"] == session["pid"]
        assert posted["read"] == size


def test_a_cookie_of_our_own_keeps_clients_where_they_are(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    site = Sticky(geuwsgi_server, tmp_path, "cookie:srv")
    for _ in range(6):
        first = get(site.http, "/")
        cookie = (first.header("Set-Cookie") or "").partition(";")[0]
        assert cookie.startswith("srv=")
        for _ in range(4):
            request = f"GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n"
            again = exchange(site.http, f"{request}Connection: close\r\n\r\n".encode())
            assert answer(again)["pid"] == answer(first)["pid"]


def test_one_address_has_one_worker(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    site = Sticky(geuwsgi_server, tmp_path, "addr")

    def is_settled() -> bool:
        # Until its worker has started, whoever is there serves a client.
        return len({answer(get(site.http, "/"))["pid"] for _ in range(20)}) == 1

    site.server.wait_for(is_settled, "serves one address in one worker")


@pytest.mark.parametrize("way", ["sid", "cookie:", "query"])
def test_a_way_that_is_none_is_told(
    geuwsgi_server: StartServer, tmp_path: Path, way: str
) -> None:
    (tmp_path / "app.py").write_text(APP)
    server = geuwsgi_server(
        "--http",
        f"127.0.0.1:{free_port()}",
        "--wsgi-file",
        "app.py",
        "--sticky",
        way,
        "--master",
        directory=tmp_path,
    )
    assert server.wait() == 1
    assert f"sticky: {way!r} is none of" in server.log
