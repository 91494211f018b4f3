"""Real fastrouters, rawrouters and sslrouters."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from geuwsgi.protocol.uwsgi import encode_packet, encode_vars
from geuwsgi.testing.client import Client
from geuwsgi.testing.fixtures import StartServer
from tests.routers.conftest import Backend, announce
from tests.routers.test_http_router import below, wait_until

Make = Callable[..., Backend]
Ports = Callable[[], str]


def packet(**variables: str) -> bytes:
    block = encode_vars({k.encode(): v.encode() for k, v in variables.items()})
    return encode_packet(0, block)


def ask(address: str, octets: bytes) -> bytes:
    with Client(address) as client:
        client.send(octets)
        return client.read_to_end()


def test_a_fastrouter_sends_packets_where_their_key_leads(
    geuwsgi_server: StartServer, backend: Make, ports: Ports, tmp_path: Path
) -> None:
    front, subscriptions, stats = ports(), ports(), ports()
    router = geuwsgi_server(
        *("--fastrouter", front, "--fastrouter-subscription-server", subscriptions),
        *("--fastrouter-use-base", str(tmp_path), "--fastrouter-stats", stats),
        *("--fastrouter-post-buffering", "100", "--fastrouter-gracetime", "600"),
        *("--subscription-tolerance", "600"),
    )
    router.wait_until_ready(front)
    based = backend("based", str(tmp_path / "base.test"))
    one, two = backend("one"), backend("two")
    for node in (one, two):
        announce(subscriptions, "a.test", node.address)

    def known() -> int:
        with Client(stats) as client:
            told = json.loads(client.read_to_end())["subscriptions"]
        return sum(len(pool["nodes"]) for pool in told)

    wait_until(lambda: known() == 2)
    get = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x"}
    answers = [ask(front, packet(HTTP_HOST="a.test", **get)) for _ in range(4)]
    assert sorted(answer.partition(b"\r\n\r\n")[2] for answer in answers) == [
        *(b"one 0 /x ", b"one 0 /x ", b"two 0 /x ", b"two 0 /x "),
    ]
    named = packet(SERVER_NAME="a.test", UWSGI_FASTROUTER_KEY="base.test", **get)
    assert ask(front, named).endswith(b"based 0 /x ")
    assert ask(front, packet(SERVER_NAME="base.test", **get)).endswith(b"based 0 /x ")
    for length in (50, 5000, 300_000):
        post = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(length)}
        body = os.urandom(length)
        answer = ask(front, packet(HTTP_HOST="base.test", **post) + body)
        assert answer.endswith(body)
    assert based.requests == 5

    # A key that nobody serves, no key at all, and what is no packet.
    for octets in (
        packet(HTTP_HOST="..", **get),
        packet(PATH_INFO="/"),
        packet(HTTP_HOST="a.test", CONTENT_LENGTH="-1"),
        b"\0\5\0\0\1\2\3\4\5",
        b"GET / HTTP/1.1\r\n\r\n" * 1500,
    ):
        assert ask(front, octets) == b""
    one.close()
    for _ in range(4):
        answer = ask(front, packet(HTTP_HOST="a.test", **get))
        assert answer.endswith(b"two 0 /x ")

    pid = router.wait_for_log(r"uWSGI router 1 \(pid: (\d+)\)")[0][1]
    os.kill(int(pid), signal.SIGKILL)
    # Those that were connected lose their answer; who comes now does not.
    assert ask(front, packet(HTTP_HOST="a.test", **get)).endswith(b"two 0 /x ")


def test_a_fastrouter_behind_nginx(
    geuwsgi_server: StartServer, application: Path, ports: Ports, tmp_path: Path
) -> None:
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is missing")
    web, front, uwsgi = ports(), ports(), ports()
    site = geuwsgi_server(
        *("--master", "--gevent", "50", "--wsgi-file", str(application)),
        *("--socket", uwsgi),
    )
    router = geuwsgi_server(
        *("--fastrouter", front, "--fastrouter-to", uwsgi),
        directory=below(tmp_path, "router"),
    )
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        f"{'user root;' if os.getuid() == 0 else ''}\n"
        f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; uwsgi_temp_path {tmp_path}/u;\n"
        f"client_body_temp_path {tmp_path}/b;\n"
        f"server {{ listen {web}; location / {{ include /etc/nginx/uwsgi_params;\n"
        f"uwsgi_pass {front}; }} }} }}\n"
    )
    web_server = geuwsgi_server(
        *("-c", str(configuration), "-p", str(tmp_path)),
        command=(nginx,),
        directory=below(tmp_path, "nginx"),
    )
    site.wait_for_log("spawned uWSGI worker 1")
    router.wait_until_ready(front)
    web_server.wait_until_ready(web)
    with Client(web) as client:
        for number in range(20):
            assert client.request(f"/{number}").text.startswith(f"HTTP/1.1 /{number} ")
        body = bytes(200_000)
        assert client.request("/", method="POST", body=body).body.endswith(body)
        assert client.request("/stream").body == b"piece 0\npiece 1\npiece 2\n"


class Echo:
    """A TCP server that greets and then returns what it gets, in upper case."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.greeting = greeting
        self.heard: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client:
                client.settimeout(10)
                try:
                    if self.greeting:
                        client.sendall(self.greeting)
                    while block := client.recv(65536):
                        self.heard.append(block)
                        client.sendall(block.upper())
                except OSError:
                    continue

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo(b"220 hello\r\n")
    yield made
    made.close()


def make_certificate(directory: Path, name: str) -> tuple[str, str]:
    certificate, key = f"{directory}/{name}.pem", f"{directory}/{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9"),
            *("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def test_connections_are_joined_with_backends_and_tls_ends_here(
    geuwsgi_server: StartServer, echo: Echo, ports: Ports, tmp_path: Path
) -> None:
    raw, tls = ports(), ports()
    certificate, key = make_certificate(tmp_path, "mail.test")
    other = make_certificate(tmp_path, "other.test")
    third = make_certificate(tmp_path, "third.test")
    dead = ports()
    router = geuwsgi_server(
        *("--rawrouter", raw, "--rawrouter-to", dead, "--rawrouter-to", echo.address),
        *("--rawrouter-xclient", "--sslrouter-sni"),
        "--sslrouter-proxy-protocol",
        *("--sslrouter", f"{tls},{certificate},{key}"),
        *("--sslrouter-subscription-server", tls),
        *("--sni", f"other.test {other[0]},{other[1]}"),
    )
    router.wait_until_ready(raw, tls)
    for _ in range(2):
        with Client(raw) as client:
            # The greeting was for the router; after XCLIENT the server greets again.
            assert client.read_until(b"\r\n") == b"XCLIENT ADDR=127.0.0.1\r\n"
            client.send(b"hello")
            assert client.read_until(b"HELLO") == b"HELLO"
            client.send_eof()
            assert client.read_to_end() == b""

    router.wait_for_log("spawned uWSGI router 2")
    announce(tls, "mail.test", echo.address)
    # A node may bring its certificate along.
    announce(
        *(tls, "third.test", echo.address),
        sni_certificate=third[0],
        sni_key=third[1],
    )
    router.wait_for_log("mail.test => new node")
    router.wait_for_log("third.test => new node")
    context = ssl.create_default_context()
    for path in (certificate, other[0], third[0]):
        context.load_verify_locations(path)
    large = b"x" * 1_000_000
    host, _, port = tls.rpartition(":")
    greeting = b"220 hello\r\n"
    for name, expected in (
        ("mail.test", greeting),
        ("third.test", greeting),
        ("other.test", b""),
    ):
        with (
            socket.create_connection((host, int(port)), 10) as plain,
            context.wrap_socket(plain, server_hostname=name) as client_tls,
        ):
            # The server speaks first here.
            assert client_tls.recv(100).startswith(expected)
            if expected:
                sender = threading.Thread(target=client_tls.sendall, args=(large,))
                sender.start()
                received = 0
                while received < len(large):
                    received += len(client_tls.recv(65536))
                sender.join()
    told = next(block for block in echo.heard if block.startswith(b"PROXY"))
    assert told.startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")
    with Client(tls) as client:
        client.send(os.urandom(3000))  # no TLS
        client.read_to_end()
    assert router.is_running()
    assert "Traceback" not in router.log
