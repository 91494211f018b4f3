"""curl as the client: HTTP/1.1, HTTP/2 and TLS as libraries of others speak them."""

from __future__ import annotations

import gzip
import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from geuwsgi.testing.client import free_port
from geuwsgi.testing.process import ServerProcess

pytest.importorskip("h2", reason="HTTP/2 is not on this system")

APP = """
def application(environ, start_response):
    if environ["PATH_INFO"] == "/length":
        body = str(len(environ["wsgi.input"].read())).encode()
    else:
        shown = ("REQUEST_METHOD", "SERVER_PROTOCOL", "wsgi.url_scheme", "HTTPS_CN")
        body = " ".join(str(environ.get(name)) for name in shown).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""

HTTP_1 = ("--http1.1",)
KNOWN = ("--http2-prior-knowledge",)
HTTP_2 = ("--http2",)


@dataclass(frozen=True)
class Place:
    """Where the server is, and the certificates of this world."""

    directory: Path
    http: str
    https: str

    def url(self, scheme: str, path: str) -> str:
        return f"{scheme}://{self.http if scheme == 'http' else self.https}{path}"


@pytest.fixture(scope="module")
def place(
    program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("curl")
    make_certificates(program("openssl"), directory)
    (directory / "app.py").write_text(APP)
    files = directory / "files"
    files.mkdir()
    (files / "a.txt").write_bytes(b"0123456789" * 100)
    (files / "a.txt.gz").write_bytes(gzip.compress(b"0123456789" * 100))
    (files / "large.bin").write_bytes(os.urandom(3_000_000))
    for file in files.iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))
    place = Place(directory, *(f"127.0.0.1:{free_port()}" for _ in range(2)))
    (directory / "site.ini").write_text(
        f"[uwsgi]\nhttp = {place.http}\n"
        f"https = {place.https},a.crt,a.key,,ca.crt\n"
        "sni = b.test b.crt,b.key\n"
        "http2 = true\nmaster = true\nprocesses = 2\ngevent = 20\n"
        "wsgi-file = app.py\nstatic-map = /files=files\nstatic-gzip-all = true\n"
    )
    with ServerProcess(["--ini", "site.ini"], directory=directory) as server:
        server.wait_until_ready(place.http, place.https)
        yield place


def make_certificates(openssl: str, directory: Path) -> None:
    """An authority, two servers and a client."""

    def run(*arguments: str) -> None:
        subprocess.run(
            (openssl, *arguments),
            cwd=directory,
            check=True,
            capture_output=True,
            timeout=20,
        )

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run(
        *("req", "-x509", *new, "-subj", "/CN=Authority", "-days", "2"),
        *("-keyout", "ca.key", "-out", "ca.crt"),
    )
    for name, host in (("a", "a.test"), ("b", "b.test"), ("client", "visitor")):
        run(
            *("req", *new, "-subj", f"/CN={host}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
        )
        (directory / "extensions").write_text(f"subjectAltName=DNS:{host}\n")
        run(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey"),
            *("ca.key", "-CAcreateserial", "-days", "2", "-out", f"{name}.crt"),
            *("-extfile", "extensions"),
        )


@pytest.fixture(scope="module")
def curl(program: Callable[[str], str]) -> Callable[..., bytes]:
    path = program("curl")

    def run(*arguments: str, body: bytes | None = None, fails: bool = False) -> bytes:
        finished = subprocess.run(
            (path, "-sS", "-k", "--max-time", "20", *arguments),
            input=body,
            capture_output=True,
            timeout=30,
        )
        assert bool(finished.returncode) is fails, finished.stderr
        return finished.stdout

    return run


Curl = Callable[..., bytes]
WAYS = [("http", HTTP_1), ("http", KNOWN), ("https", HTTP_1), ("https", HTTP_2)]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}{way[1][0]}")
def way(request: pytest.FixtureRequest) -> tuple[str, tuple[str, ...]]:
    chosen: tuple[str, tuple[str, ...]] = request.param
    return chosen


def test_a_page(place: Place, curl: Curl, way: tuple[str, tuple[str, ...]]) -> None:
    scheme, options = way
    url = place.url(scheme, "/")
    version = "HTTP/1.1" if options is HTTP_1 else "HTTP/2"
    told = curl(*options, "-w", " %{http_code} %{http_version}", url).decode()
    number = version.removeprefix("HTTP/")
    assert told.startswith(f"GET {version}")
    assert told.endswith(f" {scheme} None 200 {number}")


def test_uploads_with_and_without_a_length(
    place: Place, curl: Curl, way: tuple[str, tuple[str, ...]]
) -> None:
    scheme, options = way
    url = place.url(scheme, "/length")
    body = b"x" * 1_000_000
    # Expect: 100-continue goes with the first over HTTP/1.1, chunks with the second.
    assert curl(*options, "--data-binary", "@-", url, body=body) == b"1000000"
    assert curl(*options, "-T", "-", url, body=body) == b"1000000"


def test_files_and_parts_of_them(
    place: Place, curl: Curl, way: tuple[str, tuple[str, ...]]
) -> None:
    scheme, options = way
    url = place.url(scheme, "/files/a.txt")
    large = (place.directory / "files" / "large.bin").read_bytes()
    assert curl(*options, place.url(scheme, "/files/large.bin")) == large
    assert curl(*options, "-r", "2-5", url) == b"2345"
    assert curl(*options, "-r", "-3", url) == b"789"
    # The file is of 22:13:20.
    date = "Tue, 14 Nov 2023 22:13:{} GMT"
    later, earlier = date.format(20), date.format(19)
    assert curl(*options, "-z", later, "-w", "%{http_code}", url) == b"304"
    assert curl(*options, "-z", earlier, url) == b"0123456789" * 100
    head = curl(*options, "-I", url).decode().lower()
    assert "content-length: 1000\r\n" in head
    packed = curl(*options, "-H", "Accept-Encoding: gzip", url)
    assert gzip.decompress(packed) == b"0123456789" * 100
    assert curl(*options, "--compressed", url) == b"0123456789" * 100


# Not with prior knowledge: curl 7.88 breaks its second request, to nginx as well.
@pytest.mark.parametrize(
    ("scheme", "option"),
    [("http", "--http1.1"), ("https", "--http1.1"), ("https", "--http2")],
)
def test_several_requests_share_a_connection(
    place: Place, curl: Curl, scheme: str, option: str
) -> None:
    page = ("-o", os.devnull, place.url(scheme, "/files/a.txt"))
    told = curl(option, "-w", "%{num_connects} ", *page, *page, *page)
    assert told == b"1 0 0 "


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_versions_of_tls(place: Place, curl: Curl, version: str) -> None:
    only = (f"--tlsv{version}", "--tls-max", version)
    assert curl(*only, place.url("https", "/")).startswith(b"GET HTTP/")


def test_older_versions_of_tls_are_refused(place: Place, curl: Curl) -> None:
    ciphers = ("--ciphers", "DEFAULT@SECLEVEL=0")
    old = ("--tlsv1.1", "--tls-max", "1.1", *ciphers)
    assert curl(*old, place.url("https", "/"), fails=True) == b""


@pytest.mark.parametrize("host", ["a.test", "b.test"])
def test_each_name_has_its_certificate(place: Place, curl: Curl, host: str) -> None:
    port = place.https.rpartition(":")[2]
    answer = curl(
        *("--cacert", str(place.directory / "ca.crt"), "--no-insecure"),
        *("--resolve", f"{host}:{port}:127.0.0.1", f"https://{host}:{port}/"),
    )
    assert answer.startswith(b"GET ")


def test_a_client_certificate_is_told_to_the_application(
    place: Place, curl: Curl
) -> None:
    directory = place.directory
    certificate = (
        "--cert",
        f"{directory}/client.crt",
        "--key",
        f"{directory}/client.key",
    )
    assert curl(*certificate, place.url("https", "/")).endswith(b" visitor")
    # Of another authority: its own.
    (directory / "alone").mkdir()
    openssl = ("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2")
    curve = ("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=visitor")
    subprocess.run(
        (*openssl, *curve, "-keyout", "key", "-out", "crt"),
        cwd=directory / "alone",
        check=True,
        capture_output=True,
        timeout=20,
    )
    alone = ("--cert", f"{directory}/alone/crt", "--key", f"{directory}/alone/key")
    curl(*alone, place.url("https", "/"), fails=True)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_on_whichever_worker(
    place: Place, version: ssl.TLSVersion
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    host, _, port = place.https.rpartition(":")
    session: ssl.SSLSession | None = None
    for number in range(8):
        with (
            socket.create_connection((host, int(port)), timeout=10) as plain,
            context.wrap_socket(plain, session=session) as client,
        ):
            assert client.session_reused is bool(number)
            client.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            assert client.recv(15) == b"HTTP/1.1 200 OK"
            session = client.session
