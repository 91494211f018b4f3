"""TLS streams and the choice of certificates, against OpenSSL as the client."""

from __future__ import annotations

import _socket
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import gevent.event
import gevent.socket
import pytest
from gevent import get_hub
from gevent.server import StreamServer
from gevent.ssl import SSLContext, SSLSocket

from geuwsgi.errors import ConfigError, Disconnected, PeerTimeout
from geuwsgi.net.clock import Clock
from geuwsgi.net.stream import Stream
from geuwsgi.net.tls import (
    RECHECK_S,
    Certificate,
    ServerContexts,
    TlsOptions,
    option_bits,
    parse_certificate,
    parse_sni,
)
from geuwsgi.net.tlsstream import TlsStream, client_variables

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="makes certificates with openssl"
)


def openssl(*arguments: str) -> None:
    subprocess.run(("openssl", *arguments), check=True, capture_output=True, timeout=20)


def make_certificate(
    directory: Path, name: str, *, signed_by: Path | None = None
) -> None:
    """Write ``name.crt`` and ``name.key``."""
    base = str(directory / name)
    subject = ("-subj", f"/C=XX/O=Test/CN={name}", "-days", "2")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    if signed_by is None:
        openssl(
            *("req", "-x509", *key, *subject),
            *("-keyout", f"{base}.key", "-out", f"{base}.crt"),
        )
        return
    openssl(
        *("req", *key, "-subj", f"/C=XX/O=Test/CN={name}"),
        *("-keyout", f"{base}.key", "-out", f"{base}.csr"),
    )
    openssl(
        *("x509", "-req", "-in", f"{base}.csr", "-days", "2", "-CAcreateserial"),
        *(
            "-CA",
            f"{signed_by}.crt",
            "-CAkey",
            f"{signed_by}.key",
            "-out",
            f"{base}.crt",
        ),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the certificates of three names and of a client."""
    directory = tmp_path_factory.mktemp("certificates")
    for name in ("default.test", "one.test", "two.test", "ca"):
        make_certificate(directory, name)
    make_certificate(directory, "client", signed_by=directory / "ca")
    return directory


def certificate(directory: Path, name: str, **more: object) -> Certificate:
    return Certificate(
        str(directory / f"{name}.crt"),
        str(directory / f"{name}.key"),
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def contexts(made: Path, reports: list[str]) -> ServerContexts:
    return ServerContexts(
        certificate(made, "default.test"), TlsOptions(), reports.append
    )


Serve = Callable[[TlsStream], None]


class TlsServer:
    """Gives each connection, as a stream, to ``serve`` and then closes it."""

    def __init__(self, contexts: ServerContexts, serve: Serve) -> None:
        self.ended = gevent.event.Event()
        self.error: Exception | None = None

        def handle(client: gevent.socket.socket, address: object) -> None:
            plain = _socket.socket(fileno=os.dup(client.fileno()))
            client.close()
            plain.setblocking(False)
            stream = TlsStream(plain, get_hub(), contexts.context, Clock())
            try:
                serve(stream)
            except Exception as exc:
                self.error = exc
            finally:
                stream.close()
                self.ended.set()

        self._server = StreamServer(("127.0.0.1", 0), handle)
        self._server.start()
        assert self._server.server_port
        self.port: int = self._server.server_port

    def connect(
        self, name: str = "default.test", context: ssl.SSLContext | None = None
    ) -> SSLSocket:
        plain = gevent.socket.create_connection(("127.0.0.1", self.port), timeout=5)
        return (context or client_context()).wrap_socket(plain, server_hostname=name)

    def close(self) -> None:
        self._server.stop()


def client_context() -> ssl.SSLContext:
    context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture
def serving(contexts: ServerContexts) -> Iterator[Callable[..., TlsServer]]:
    servers: list[TlsServer] = []

    def start(serve: Serve, own: ServerContexts | None = None) -> TlsServer:
        servers.append(TlsServer(own or contexts, serve))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def echo(stream: TlsStream) -> None:
    while received := stream.recv(65536):
        stream.send_all(received)


def read_exactly(client: gevent.socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        piece = client.recv(65536)
        assert piece
        received += piece
    return received


def shown_certificate(client: SSLSocket) -> bytes:
    """The encoded certificate a server showed."""
    encoded = client.getpeercert(binary_form=True)
    assert encoded
    return encoded


# The stream


def test_bytes_come_back_through_tls(serving: Callable[..., TlsServer]) -> None:
    server = serving(echo)
    with server.connect() as client:
        for size in (1, 100, 16384, 16385, 300_000):
            octets = os.urandom(size)
            sending = gevent.spawn(client.sendall, octets)
            assert read_exactly(client, size) == octets
            sending.join()
        client.unwrap()
    assert server.ended.wait(5)
    assert server.error is None


def test_a_slow_reader_parks_the_sender_and_gets_everything(
    serving: Callable[..., TlsServer],
) -> None:
    octets = os.urandom(8_000_000)
    server = serving(lambda stream: stream.send_all(stream.recv(1) + octets))
    with server.connect() as client:
        client.sendall(b"x")
        assert not server.ended.wait(0.01)
        assert read_exactly(client, len(octets) + 1)[1:] == octets


def test_pieces_taken_without_waiting_follow_by_themselves(
    serving: Callable[..., TlsServer],
) -> None:
    octets = os.urandom(6_000_000)
    taken: list[int] = []
    done = gevent.event.Event()

    def send(stream: TlsStream) -> None:
        stream.recv(1)
        rest = memoryview(octets)
        while sent := stream.send_nowait(rest):
            taken.append(sent)
            rest = rest[sent:]
        done.wait(5)

    server = serving(send)
    with server.connect() as client:
        client.sendall(b"x")
        gevent.sleep(0.01)
        total = sum(taken)
        assert 0 < total < len(octets)
        assert read_exactly(client, total) == octets[:total]
        done.set()


def test_bytes_that_others_follow_leave_with_them(
    serving: Callable[..., TlsServer],
) -> None:
    def serve(stream: TlsStream) -> None:
        stream.recv(1)
        stream.send_more(b"head ")
        stream.send_all(b"body")
        stream.send_more(b"x" * 100_000)

    with serving(serve).connect() as client:
        client.sendall(b"x")
        assert read_exactly(client, 9) == b"head body"
        assert read_exactly(client, 100_000) == b"x" * 100_000


def test_bytes_that_were_received_already_need_no_wait(
    serving: Callable[..., TlsServer],
) -> None:
    pieces: list[bytes] = []

    def serve(stream: TlsStream) -> None:
        pieces.append(stream.recv(2))
        stream.wait_readable()
        pieces.append(stream.recv_after_wait(2))
        pieces.append(stream.recv_nowait(10) or b"")
        assert stream.recv_nowait(10) is None

    server = serving(serve)
    with server.connect() as client:
        client.sendall(b"abcdef")
        assert server.ended.wait(5)
    assert server.error is None
    assert pieces == [b"ab", b"cd", b"ef"]


def test_files_are_copied_through_tls(
    serving: Callable[..., TlsServer], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    octets = os.urandom(500_000)
    path.write_bytes(octets)
    told: list[int] = []

    def serve(stream: TlsStream) -> None:
        stream.recv(1)
        with path.open("rb") as file:
            assert stream.send_file(file.fileno(), 10, 400_000, told.append) == 400_000
            assert stream.send_file(file.fileno(), 499_999, 10) == 1

    server = serving(serve)
    with server.connect() as client:
        client.sendall(b"x")
        assert read_exactly(client, 400_001)[:-1] == octets[10:400_010]
    assert sum(told) == 400_000


def test_a_client_sees_a_proper_end(serving: Callable[..., TlsServer]) -> None:
    def serve(stream: TlsStream) -> None:
        stream.recv(1)
        stream.send_all(b"bye")

    with serving(serve).connect() as client:
        client.sendall(b"x")
        assert read_exactly(client, 3) == b"bye"
        # Without close_notify this would be an SSLEOFError.
        assert client.recv(10) == b""


def test_a_client_that_resets_is_disconnected(
    serving: Callable[..., TlsServer],
) -> None:
    def serve(stream: TlsStream) -> None:
        while True:
            if not stream.recv(10):
                raise Disconnected("the end")

    server = serving(serve)
    client = server.connect()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    assert server.ended.wait(5)
    assert isinstance(server.error, Disconnected)


def test_a_silent_client_runs_into_the_deadline(
    serving: Callable[..., TlsServer],
) -> None:
    waiting: list[TlsStream] = []

    def serve(stream: TlsStream) -> None:
        waiting.append(stream)
        stream.recv(10)

    server = serving(serve)
    with gevent.socket.create_connection(("127.0.0.1", server.port)):
        while not (waiting and waiting[0].is_waiting):
            gevent.sleep(0.001)
        waiting[0].expire()
        assert server.ended.wait(5)
    assert isinstance(server.error, PeerTimeout)


def test_plain_http_is_told_what_this_port_speaks(
    serving: Callable[..., TlsServer],
) -> None:
    server = serving(echo)
    with gevent.socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while piece := client.recv(1000):
            received += piece
    assert b"HTTP/1.1 400 Bad Request\r\n" in received
    assert b"this port speaks HTTPS." in received


@pytest.mark.parametrize("rubbish", [b"\x00" * 50, b"\x16\x03\x01\xff\xff", b"\r\n"])
def test_what_is_no_handshake_is_disconnected(
    serving: Callable[..., TlsServer], rubbish: bytes
) -> None:
    server = serving(echo)
    with gevent.socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(rubbish)
        client.shutdown(socket.SHUT_WR)
        assert server.ended.wait(5)
    assert server.error is None or isinstance(server.error, Disconnected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(serving: Callable[..., TlsServer]) -> None:
    context = client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        serving(echo).connect(context=context)


def test_tls_1_2_works_and_sessions_are_resumed(
    serving: Callable[..., TlsServer],
) -> None:
    server = serving(echo)
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with server.connect(context=context) as client:
        assert not client.session_reused
        session = client.session
    plain = gevent.socket.create_connection(("127.0.0.1", server.port))
    with context.wrap_socket(plain, session=session) as again:
        again.sendall(b"x")
        assert again.recv(1) == b"x"
        assert again.session_reused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_after_the_handshake_nothing_is_sent_before_the_client_asks(
    serving: Callable[..., TlsServer], version: ssl.TLSVersion
) -> None:
    """Tickets come with the first answer: see the module's docstring."""
    shaken = gevent.event.Event()

    def serve(stream: TlsStream) -> None:
        stream.on_handshake = lambda done: shaken.set()
        echo(stream)

    server = serving(serve)
    context = client_context()
    context.minimum_version = context.maximum_version = version
    with server.connect(context=context) as client:
        assert shaken.wait(5)
        plain = _socket.socket(fileno=os.dup(client.fileno()))
        plain.setblocking(False)
        gevent.sleep(0.01)
        with pytest.raises(BlockingIOError):
            plain.recv(1, _socket.MSG_PEEK)
        plain.close()
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
        session = client.session
        assert session is not None
        assert session.has_ticket


def test_alpn_chooses_what_the_server_offers(
    serving: Callable[..., TlsServer],
) -> None:
    chosen: list[str | None] = []

    def serve(stream: TlsStream) -> None:
        stream.on_handshake = lambda done: chosen.append(done.protocol)
        echo(stream)

    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with serving(serve).connect(context=context) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        assert client.selected_alpn_protocol() == "http/1.1"
    assert chosen == ["http/1.1"]


# Certificates


def test_the_certificate_follows_the_name(
    serving: Callable[..., TlsServer], made: Path, reports: list[str], tmp_path: Path
) -> None:
    for suffix in (".crt", ".key"):
        shutil.copy(made / f"two.test{suffix}", tmp_path / f"dir.test{suffix}")
    own = ServerContexts(
        certificate(made, "default.test"),
        TlsOptions(
            sni=(("ONE.test", certificate(made, "one.test")),), sni_dir=str(tmp_path)
        ),
        reports.append,
    )
    server = serving(echo, own)
    shown = {}
    for name in ("one.test", "one.TEST", "dir.test", "other.test", "..", "a/b"):
        try:
            with server.connect(name) as client:
                shown[name] = shown_certificate(client)
        except ValueError:  # the client does not send such a name
            continue
    files = {
        name: ssl.PEM_cert_to_DER_cert((made / f"{name}.crt").read_text())
        for name in ("default.test", "one.test", "two.test")
    }
    assert shown["one.test"] == shown["one.TEST"] == files["one.test"]
    assert shown["dir.test"] == files["two.test"]
    assert shown["other.test"] == files["default.test"]
    for odd in ("..", "../x", "/etc/x", "", ".", "-", "x" * 300, None):
        assert own.context_for(odd) is own.context


def test_a_renewed_certificate_is_served_without_restart(
    made: Path, reports: list[str], tmp_path: Path, serving: Callable[..., TlsServer]
) -> None:
    now = [100.0]
    for suffix in (".crt", ".key"):
        shutil.copy(made / f"one.test{suffix}", tmp_path / f"site{suffix}")
    own = ServerContexts(
        certificate(tmp_path, "site"), TlsOptions(), reports.append, lambda: now[0]
    )
    server = serving(echo, own)
    with server.connect() as client:
        before = shown_certificate(client)
    (tmp_path / "site.crt").write_bytes((made / "two.test.crt").read_bytes())
    now[0] += RECHECK_S
    with server.connect() as client:  # the key is still the other one
        assert shown_certificate(client) == before
    assert "keeping the old certificate" in reports[-1]
    (tmp_path / "site.key").write_bytes((made / "two.test.key").read_bytes())
    now[0] += RECHECK_S
    with server.connect() as client:
        assert shown_certificate(client) != before
    assert "loaded the new certificate" in reports[-1]


def test_a_client_shows_its_certificate(
    serving: Callable[..., TlsServer], made: Path, reports: list[str]
) -> None:
    seen: list[dict[str, str]] = []

    def serve(stream: TlsStream) -> None:
        stream.on_handshake = lambda done: seen.append(
            client_variables(done.tls, export=True)
        )
        echo(stream)

    own = ServerContexts(
        certificate(
            made, "default.test", client_ca=str(made / "ca.crt"), client_required=True
        ),
        TlsOptions(),
        reports.append,
    )
    server = serving(serve, own)
    context = client_context()
    context.load_cert_chain(made / "client.crt", made / "client.key")
    with server.connect(context=context) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert seen[0]["HTTPS_DN"] == "/C=XX/O=Test/CN=client"
    assert seen[0]["HTTPS_CN"] == "client"
    assert seen[0]["HTTPS_CC"].startswith("-----BEGIN CERTIFICATE-----")
    with pytest.raises((ssl.SSLError, ConnectionError)), server.connect() as client:
        client.sendall(b"x")
        client.recv(1)


# Options


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("c.pem", Certificate("c.pem", "c.pem")),
        ("c.crt,k.key", Certificate("c.crt", "k.key")),
        ("c, k, HIGH", Certificate("c", "k", "HIGH")),
        ("c,k,,ca", Certificate("c", "k", "", "ca")),
        ("c,k,HIGH,!ca", Certificate("c", "k", "HIGH", "ca", True)),
    ],
)
def test_certificates_are_written_in_order(text: str, parsed: Certificate) -> None:
    assert parse_certificate(text, option="https") == parsed


@pytest.mark.parametrize("text", ["", ",k", "a,b,c,d,e"])
def test_a_malformed_certificate_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="https needs"):
        parse_certificate(text, option="https")


def test_sni_names_a_certificate() -> None:
    assert parse_sni("a.test c,k", option="sni") == ("a.test", Certificate("c", "k"))
    with pytest.raises(ConfigError, match="sni needs"):
        parse_sni("a.test", option="sni")


def test_option_bits_are_numbers() -> None:
    assert option_bits(["4", "0x10"]) == 0x14
    with pytest.raises(ConfigError, match="'x'"):
        option_bits(["x"])


def test_files_that_cannot_be_used_are_named(made: Path, tmp_path: Path) -> None:
    default = certificate(made, "default.test")
    wrong = [
        Certificate(str(tmp_path / "none"), str(tmp_path / "none")),
        Certificate(default.certificate, str(made / "one.test.key")),
        Certificate(default.certificate, default.key, "NO-SUCH-CIPHER"),
        Certificate(default.certificate, default.key, client_ca=default.key),
    ]
    for value in wrong:
        with pytest.raises(ConfigError):
            ServerContexts(value, TlsOptions(), print)


def test_an_encrypted_key_does_not_ask_on_the_terminal(
    made: Path, tmp_path: Path
) -> None:
    key = str(tmp_path / "encrypted.key")
    openssl(
        *("pkcs8", "-topk8", "-in", str(made / "one.test.key"), "-out", key),
        *("-passout", "pass:secret"),
    )
    with pytest.raises(ConfigError, match="passphrase"):
        ServerContexts(
            Certificate(str(made / "one.test.crt"), key), TlsOptions(), print
        )


def test_tls_has_its_own_way_of_each_that_touches_the_socket() -> None:
    inherited = {
        name
        for name in vars(Stream)
        if name.startswith(("send", "recv")) and name not in vars(TlsStream)
    }
    # It waits and receives by the methods that TLS has.
    assert inherited == {"recv_after_wait"}


def test_certificates_may_be_offered_later(
    made: Path, contexts: ServerContexts, reports: list[str]
) -> None:
    default = contexts.context_for("one.test")
    contexts.offer({"one.test": certificate(made, "one.test")})
    offered = contexts.context_for("One.test")
    assert offered is not default
    contexts.offer(
        {
            "one.test": certificate(made, "one.test"),
            "no.test": Certificate("/no/such", "/no/such"),
        }
    )
    assert contexts.context_for("one.test") is offered  # not loaded again
    assert contexts.context_for("no.test") is default
    assert len(reports) == 1
    contexts.offer({})
    assert contexts.context_for("one.test") is default


@pytest.mark.parametrize("path", ["pipe", "/dev/zero", "/dev/tty", ".", "a\0b"])
def test_what_is_offered_must_be_files(
    made: Path,
    contexts: ServerContexts,
    reports: list[str],
    tmp_path: Path,
    path: str,
) -> None:
    if path == "pipe":
        os.mkfifo(tmp_path / "pipe")
        path = str(tmp_path / "pipe")
    offered = {"no.test": Certificate(path, path)}
    contexts.offer(offered)
    assert contexts.context_for("no.test") is contexts.context_for(None)
    contexts.offer(offered)
    assert len(reports) == 1, "it is told again and again"
