"""Sessions find their worker through PROXY headers, TLS and HTTP/2."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from geuwsgi.testing.client import Client, connect, free_port
from geuwsgi.testing.process import ServerProcess

APP = """
import json, os, secrets
from urllib.parse import parse_qs

def application(environ, start_response):
    session = parse_qs(environ["QUERY_STRING"]).get("sid", [""])[0]
    names = ("REMOTE_ADDR", "SERVER_ADDR", "SERVER_PROTOCOL", "wsgi.url_scheme")
    body = json.dumps({
        "sid": session or secrets.token_urlsafe(12),
        "pid": os.getpid(),
        **{name: environ.get(name) for name in names},
    }).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
"""

PROXY = b"PROXY TCP4 10.1.2.3 10.3.2.1 40000 443\r\n"


class Site:
    """Four workers behind a proxy's port and one for TLS, both with HTTP/2."""

    def __init__(self, directory: Path) -> None:
        self.http = f"127.0.0.1:{free_port()}"
        self.https = f"127.0.0.1:{free_port()}"
        subprocess.run(
            (
                *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
                *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=a.test"),
                *("-keyout", "key.pem", "-out", "crt.pem"),
            ),
            cwd=directory,
            check=True,
            capture_output=True,
            timeout=20,
        )
        (directory / "app.py").write_text(APP)
        (directory / "sticky.ini").write_text(
            f"[uwsgi]\nhttp = {self.http}\nhttps = {self.https},crt.pem,key.pem\n"
            "http-enable-proxy-protocol = true\nhttp2 = true\nwsgi-file = app.py\n"
            "gevent = 100\nmaster = true\nprocesses = 4\nsticky = query:sid\n"
        )
        self.server = ServerProcess(["sticky.ini"], directory=directory)

    def ask(
        self, target: str, *, proxy: bytes = b"", tls: bool = False, h2: bool = False
    ) -> Any:
        """The answer to one request, on a connection of its own."""
        with Client(self.https if tls else self.http) as client:
            client.send(proxy)
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                context.set_alpn_protocols(["h2"] if h2 else ["http/1.1"])
                client.socket = context.wrap_socket(client.socket)
            if h2:
                return json.loads(ask_h2(client.socket, [target])[0])
            response = client.request(target)
            assert response.status == 200
            return json.loads(response.body)


def ask_h2(connected: Any, targets: list[str]) -> list[bytes]:
    """The bodies that answer requests which are made one after the other."""
    connection = h2.connection.H2Connection(
        h2.config.H2Configuration(header_encoding="utf-8")
    )
    connection.initiate_connection()
    bodies = []
    for target in targets:
        head = {":method": "GET", ":path": target, ":scheme": "http", ":authority": "a"}
        number = connection.get_next_available_stream_id()
        connection.send_headers(number, list(head.items()), end_stream=True)
        connected.sendall(connection.data_to_send())
        bodies.append(b"".join(_pieces(connected, connection)))
    return bodies


def _pieces(connected: Any, connection: Any) -> Iterator[bytes]:
    while True:
        received = connected.recv(65536)
        assert received, "the connection ended"
        for event in connection.receive_data(received):
            if isinstance(event, h2.events.DataReceived):
                yield event.data or b""
            if isinstance(event, h2.events.StreamEnded):
                return
        connected.sendall(connection.data_to_send())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if shutil.which("openssl") is None:
        pytest.skip("makes certificates with openssl")
    site = Site(tmp_path_factory.mktemp("sticky"))
    with site.server:
        site.server.wait_until_ready(site.http, site.https)
        yield site


WAYS: dict[str, dict[str, Any]] = {
    "a PROXY header": {"proxy": PROXY},
    "TLS": {"tls": True},
    "TLS behind a PROXY header": {"tls": True, "proxy": PROXY},
    "HTTP/2": {"h2": True},
    "HTTP/2 behind a PROXY header": {"h2": True, "proxy": PROXY},
    "HTTP/2 in TLS": {"h2": True, "tls": True},
}


def test_the_first_request_of_a_connection_finds_its_worker(site: Site) -> None:
    for way, options in WAYS.items():
        for _ in range(3):
            begun = site.ask("/", **options)
            for _ in range(4):
                again = site.ask(f"/?EIO=4&sid={begun['sid']}", **options)
                assert again == begun, way
        proxied = "proxy" in options
        assert (begun["REMOTE_ADDR"] == "10.1.2.3") is proxied, way
        assert (begun["SERVER_ADDR"] == "10.3.2.1") is proxied, way
        assert begun["wsgi.url_scheme"] == ("https" if "tls" in options else "http")
        version = "HTTP/2.0" if "h2" in options else "HTTP/1.1"
        assert begun["SERVER_PROTOCOL"] == version


def test_a_connection_in_tls_may_change_workers_more_than_once(site: Site) -> None:
    sessions = [site.ask("/", tls=True) for _ in range(8)]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with Client(site.https) as client:
        client.socket = context.wrap_socket(client.socket)
        for session in sessions * 3:
            response = client.request(f"/?sid={session['sid']}")
            assert json.loads(response.body) == session


def test_a_client_of_http2_that_waits_for_settings_is_served(site: Site) -> None:
    with connect(site.http) as connected:
        connection = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding="utf-8")
        )
        connection.initiate_connection()
        connected.sendall(connection.data_to_send())
        events = connection.receive_data(connected.recv(65536))
        assert any(isinstance(e, h2.events.RemoteSettingsChanged) for e in events)
