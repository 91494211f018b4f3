"""How connections begin: TLS, PROXY headers, redirects, and who the client is."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent.socket
import pytest
from gevent.ssl import SSLContext

from geuwsgi.errors import ConfigError
from geuwsgi.offload.files import FileSender
from geuwsgi.options import Http, Offload, Sockets, Static
from geuwsgi.protocol.forwarded import TrustedProxies
from geuwsgi.server.edges import edge_of
from geuwsgi.server.forwarding import Forwarding
from geuwsgi.server.site import Limits
from geuwsgi.server.static.build import file_service, static_files
from geuwsgi.shared import scoreboard
from geuwsgi.worker.serve import Server

SHOWN = ("wsgi.url_scheme", "HTTPS", "REMOTE_ADDR", "SERVER_PORT", "HTTP_HOST")


def show(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(f"{name}={environ.get(name)}" for name in SHOWN).encode()]


class EdgeSite:
    """A server whose one listener begins its connections in some way."""

    def __init__(
        self,
        *,
        kind: str = "http",
        protocol: str = "http",
        tls: str = "",
        http: Http | None = None,
        static: Static | None = None,
    ) -> None:
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(16)
        self._listening.setblocking(False)
        self.port: int = self._listening.getsockname()[1]
        self.is_tls = bool(tls)
        listener: Any = SimpleNamespace(
            socket=self._listening,
            kind=kind,
            protocol=protocol,
            tls=tls,
            name=f"127.0.0.1:{self.port}",
            server_port=str(self.port),
            shares_port=False,
            origin="test.ini:1",
        )
        options = http or Http()
        application = SimpleNamespace(number=0, call=show, requests=0)
        self.server = Server(
            listeners=[listener],
            find_application=lambda environ: application,
            counters=memoryview(bytearray(8 * scoreboard.FIELDS)).cast("q"),
            cores=10,
            limits=lambda listener: Limits(),
            edges=[edge_of(listener, options, Sockets(), lambda line: None)],
        )
        site = self.server.site
        if options.trusted_proxies:
            site.stages += (Forwarding(TrustedProxies(options.trusted_proxies)),)
            site.trust_forwarded_proto = False
        if static is not None:
            stage = static_files(static, file_service(static, Offload()))
            assert stage is not None
            site.stages += (stage,)
        self.server.start()

    def ask(
        self, path: str, *fields: str, before: bytes = b"", method: str = "GET"
    ) -> str:
        lines = (f"{method} {path} HTTP/1.1", "Host: a.test", "Connection: close")
        request = "\r\n".join((*lines, *fields)) + "\r\n\r\n"
        client: Any = gevent.socket.create_connection(
            ("127.0.0.1", self.port), timeout=5
        )
        client.sendall(before)
        if self.is_tls:
            context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            client = context.wrap_socket(client)
        with client:
            client.sendall(request.encode())
            received = b""
            while piece := client.recv(65536):
                received += piece
        return received.decode("latin-1")

    def close(self) -> None:
        self.server.drain(reason="stop", deadline_s=0.0)
        for acceptor in self.server._acceptors:
            acceptor.pause()
        self.server._ticker.stop()
        self.server._ticker.close()
        self._listening.close()


@pytest.fixture
def edge() -> Iterator[Callable[..., EdgeSite]]:
    with ExitStack() as stack:

        def make(**options: Any) -> EdgeSite:
            site = EdgeSite(**options)
            stack.callback(site.close)
            return site

        yield make


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The value of https after the address."""
    if shutil.which("openssl") is None:
        pytest.skip("makes certificates with openssl")
    base = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        (
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=a.test"),
            *("-keyout", str(base / "key"), "-out", str(base / "crt")),
        ),
        check=True,
        capture_output=True,
        timeout=20,
    )
    return f"{base / 'crt'},{base / 'key'}"


def test_requests_over_tls_know_it(edge: Callable[..., EdgeSite], tls: str) -> None:
    answer = edge(kind="https", tls=tls).ask("/")
    assert "wsgi.url_scheme=https HTTPS=on REMOTE_ADDR=127.0.0.1" in answer


def test_the_log_tells_why_tls_failed_if_it_is_asked_to(
    edge: Callable[..., EdgeSite], tls: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for verbose in (False, True):
        site = edge(kind="https", tls=tls, http=Http(ssl_verbose=verbose))
        with gevent.socket.create_connection(("127.0.0.1", site.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while client.recv(1000):
                pass
        assert ("TLS failed: HTTP_REQUEST" in capsys.readouterr().err) is verbose


@pytest.mark.parametrize("threads", [None, 0, 1])
def test_files_of_every_size_are_sent_over_tls(
    edge: Callable[..., EdgeSite], tls: str, tmp_path: Path, threads: int | None
) -> None:
    site = edge(kind="https", tls=tls, static=Static(check_static=(str(tmp_path),)))
    sender = FileSender(use_sendfile=False, threads=threads or 0)
    if threads is not None:
        site.server.site.send_file = sender.send
    for size in (0, 1, 1000, 70_000, 1_500_000):
        (tmp_path / f"{size}").write_bytes(b"x" * size)
        for _ in range(2):
            head, _, body = site.ask(f"/{size}").partition("\r\n\r\n")
            assert f"\r\nContent-Length: {size}\r\n" in head
            assert body == "x" * size
    sender.close()


def test_certificates_that_cannot_be_loaded_name_their_line() -> None:
    with pytest.raises(ConfigError, match=r"test\.ini:1: https: cannot read"):
        EdgeSite(kind="https", tls="/no/such/crt,/no/such/key")


def test_plain_http_is_sent_to_https(edge: Callable[..., EdgeSite]) -> None:
    site = edge(kind="http-to-https", protocol="http-to-https")
    answer = site.ask("/a%20b?c", "Host: ignored")
    assert answer.startswith("HTTP/1.1 400 ")  # two Host fields
    answer = site.ask("/a%20b?c")
    assert answer.startswith("HTTP/1.1 301 Moved Permanently\r\n")
    assert "\r\nLocation: https://a.test/a%20b?c\r\n" in answer
    assert site.ask("/", method="POST").startswith("HTTP/1.1 308 ")


def test_redirects_go_to_the_port_of_https(edge: Callable[..., EdgeSite]) -> None:
    site = edge(
        kind="http-to-https",
        protocol="http-to-https",
        http=Http(https=("127.0.0.1:8443,crt,key",)),
    )
    assert "\r\nLocation: https://a.test:8443/\r\n" in site.ask("/")


PROXY = b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n"


def test_a_proxy_header_tells_the_client(
    edge: Callable[..., EdgeSite], tls: str
) -> None:
    http = Http(http_enable_proxy_protocol=True)
    plain = edge(http=http)
    assert "REMOTE_ADDR=192.0.2.1 SERVER_PORT=443" in plain.ask("/", before=PROXY)
    assert "REMOTE_ADDR=127.0.0.1" in plain.ask("/")
    secure = edge(kind="https", tls=tls, http=http)
    assert "HTTPS=on REMOTE_ADDR=192.0.2.1" in secure.ask("/", before=PROXY)
    assert "HTTPS=on REMOTE_ADDR=127.0.0.1" in secure.ask("/")


def test_a_proxy_header_is_not_expected_by_default(
    edge: Callable[..., EdgeSite],
) -> None:
    assert edge().ask("/", before=PROXY).startswith("HTTP/1.1 400 ")


def test_a_malformed_proxy_header_ends_the_connection(
    edge: Callable[..., EdgeSite],
) -> None:
    site = edge(http=Http(http_enable_proxy_protocol=True))
    assert site.ask("/", before=b"PROXY TCP4 x y 1 2\r\n") == ""


def test_only_trusted_peers_may_send_a_proxy_header(
    edge: Callable[..., EdgeSite],
) -> None:
    trusted = Http(http_enable_proxy_protocol=True, trusted_proxies=("127.0.0.0/8",))
    assert "REMOTE_ADDR=192.0.2.1" in edge(http=trusted).ask("/", before=PROXY)
    others = Http(http_enable_proxy_protocol=True, trusted_proxies=("10.0.0.0/8",))
    assert edge(http=others).ask("/", before=PROXY).startswith("HTTP/1.1 400 ")


def test_forwarding_fields_of_trusted_proxies_are_believed(
    edge: Callable[..., EdgeSite],
) -> None:
    site = edge(http=Http(trusted_proxies=("127.0.0.1",)))
    answer = site.ask(
        "/",
        "X-Forwarded-For: 6.6.6.6, 192.0.2.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: public.test",
    )
    assert "wsgi.url_scheme=https HTTPS=on REMOTE_ADDR=192.0.2.1" in answer
    assert "HTTP_HOST=public.test" in answer
    answer = site.ask("/", 'Forwarded: for="[2001:db8::1]:4711";proto=https')
    assert "wsgi.url_scheme=https HTTPS=on REMOTE_ADDR=2001:db8::1" in answer
    assert "REMOTE_ADDR=127.0.0.1" in site.ask("/", "Forwarded: for=rubbish x")


def test_forwarding_fields_of_others_are_not(edge: Callable[..., EdgeSite]) -> None:
    site = edge(http=Http(trusted_proxies=("10.0.0.0/8",)))
    answer = site.ask("/", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")
    assert "wsgi.url_scheme=http HTTPS=None REMOTE_ADDR=127.0.0.1" in answer
