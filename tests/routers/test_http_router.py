"""A real http router in front of other servers."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from geuwsgi.protocol.uwsgi import encode_packet, encode_vars
from geuwsgi.testing.client import Client, Response
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.process import ServerProcess
from tests.routers.conftest import Backend, announce

Make = Callable[..., Backend]
Ports = Callable[[], str]


def ask(address: str, host: str, target: str = "/", body: bytes = b"") -> Response:
    with Client(address) as client:
        method = b"POST" if body else b"GET"
        client.send(
            method
            + f" {target} HTTP/1.1\r\nHost: {host}\r\n".encode()
            # One by one: a kept connection would go on with an old router.
            + f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        return client.read_response()


def wait_until(condition: Callable[[], bool], limit_s: float = 15.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def below(directory: Path, name: str) -> Path:
    """A directory of its own: two servers must not write one log."""
    made = directory / name
    made.mkdir()
    return made


def router_pid(server: ServerProcess, count: int = 1) -> int:
    pattern = r"uWSGI router 1 \((?:new )?pid: (\d+)\)"
    return int(server.wait_for_log(pattern, count=count)[count - 1][1])


class Router:
    def __init__(
        self,
        start: StartServer,
        ports: Ports,
        *more: str,
        directory: Path | None = None,
    ) -> None:
        self.http, self.subscriptions, self.stats = ports(), ports(), ports()
        self.server = start(
            *("--http", self.http, "--http-subscription-server", self.subscriptions),
            *("--http-stats", self.stats, "--subscription-tolerance", "600", *more),
            directory=directory,
        )
        self.server.wait_until_ready(self.http)
        router_pid(self.server)

    def ask(self, host: str, target: str = "/", body: bytes = b"") -> Response:
        return ask(self.http, host, target, body)

    def announce(self, key: str, address: str, *, leaves: bool = False) -> None:
        announce(self.subscriptions, key, address, leaves=leaves)

    def known(self) -> list[str]:
        with Client(self.stats) as client:
            told = json.loads(client.read_to_end())
        return [pool["key"] for pool in told["subscriptions"]]


def test_nodes_serve_what_they_announced_until_they_take_it_back(
    geuwsgi_server: StartServer, backend: Make, ports: Ports
) -> None:
    router = Router(geuwsgi_server, ports)
    assert router.ask("a.test").status == 502
    one, two = backend("one"), backend("two")
    for node in (one, two):
        router.announce("a.test", node.address)
    wait_until(lambda: "a.test" in router.known())
    wait_until(lambda: router.ask("a.test").text.startswith("two"))
    assert {router.ask("a.test:80").text[:3] for _ in range(4)} == {"one", "two"}
    assert router.ask("b.test").status == 502
    assert router.ask("a.test", "/x", b"body").text.endswith(" 0 /x body")

    one.close()  # without a goodbye: nobody notices
    assert {router.ask("a.test", "/", b"x").text[:3] for _ in range(4)} == {"two"}

    # Hostile and broken datagrams change nothing.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        host, _, port = router.subscriptions.rpartition(":")
        for octets in (b"", b"\xe0\xff\xff\x00", os.urandom(2000), b"\xe0" * 9000):
            sender.sendto(octets, (host, int(port)))
    router.announce("..", "/etc/passwd")
    router.announce("c.test", "nobody.invalid:1")
    wait_until(lambda: "c.test" in router.known())
    assert router.ask("c.test").status == 502
    assert router.ask("a.test").status == 200

    router.announce("a.test", two.address, leaves=True)
    router.announce("a.test", one.address, leaves=True)
    wait_until(lambda: "a.test" not in router.known())
    assert router.ask("a.test").status == 502
    assert router.server.stop() == 0
    router.server.assert_nothing_left()


def test_neither_a_killed_router_nor_a_reload_loses_anything(
    geuwsgi_server: StartServer, backend: Make, ports: Ports
) -> None:
    router = Router(geuwsgi_server, ports, "--http-processes", "2")
    node = backend("one")
    router.announce("a.test", node.address)
    wait_until(lambda: "a.test" in router.known())
    # The process that has not heard the announcement, too.
    assert {router.ask("a.test").status for _ in range(10)} == {200}

    os.kill(router_pid(router.server), signal.SIGKILL)
    # The socket is the master's: nobody is refused, and the table is still there.
    assert {router.ask("a.test").status for _ in range(20)} == {200}
    router_pid(router.server, count=2)

    router.server.send_signal(signal.SIGHUP)
    answers = 0
    while "takes over" not in router.server.log or answers < 20:
        assert router.ask("a.test").status == 200
        answers += 1
    router.server.wait_for_log("generation 2 is ready and takes over")
    assert router.ask("a.test").status == 200


def test_a_site_behind_the_router_lacks_nothing(
    geuwsgi_server: StartServer, application: Path, ports: Ports
) -> None:
    front, uwsgi, http = ports(), ports(), ports()
    site = geuwsgi_server(
        *("--master", "--gevent", "50", "--wsgi-file", str(application)),
        *("--socket", uwsgi, "--http-socket", http),
    )
    router = geuwsgi_server(
        *("--http", front, "--http-to", uwsgi, "--http-var", "SITE=x"),
        directory=below(application.parent, "router"),
    )
    site.wait_until_ready(uwsgi, http)
    router.wait_until_ready(front)
    with Client(front) as client:
        for _ in range(2):  # the connection is kept
            answer = client.request("/a")
            told = "HTTP/1.1 /a HTTP_HOST=localhost REMOTE_ADDR=127.0.0.1"
            assert answer.text.startswith(f"{told} UWSGI_ROUTER=http")
        client.send(
            b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n4\r\n you\r\n0\r\n\r\n"
        )
        assert client.read_response().text.endswith("hello you")
        large = os.urandom(300_000)
        answer = client.request("/", method="POST", body=large)
        assert answer.body.endswith(large)
        assert client.request("/stream").body == b"piece 0\npiece 1\npiece 2\n"
        assert client.request("/", method="HEAD").body == b""
    with Client(front) as client:
        client.send(
            b"GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        answer = client.read_response()
        assert answer.status == 101
        assert answer.header("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        for _ in range(3):
            client.send(b"\x81\x85\0\0\0\0hello")
            assert client.read_until(b"HELLO").endswith(b"\x05HELLO")


def test_a_stopped_instance_is_missed_by_nobody(
    geuwsgi_server: StartServer, application: Path, ports: Ports, tmp_path: Path
) -> None:
    router = Router(geuwsgi_server, ports, directory=below(tmp_path, "router"))
    sites = [
        geuwsgi_server(
            *("--master", "--gevent", "50", "--wsgi-file", str(application)),
            *("--socket", ports(), "--subscribe-freq", "60", "--weight", "2"),
            *("--subscribe-to", f"{router.subscriptions}:a.test"),
            directory=below(tmp_path, name),
        )
        for name in ("one", "two")
    ]
    router.server.wait_for_log("a.test => new node", count=2)
    failures: list[Response] = []
    stopping = threading.Event()

    def keep_asking() -> None:
        while not stopping.is_set():
            answer = router.ask("a.test", "/x", b"y")
            if answer.status != 200:
                failures.append(answer)

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        sites[0].send_signal(signal.SIGHUP)
        sites[0].wait_for_log("generation 2 is ready and takes over")
        sites[1].stop(signal.SIGTERM)
        router.server.wait_for_log("a.test => removed node")
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert router.ask("a.test").status == 200


def test_backends_are_found_by_cache_code_and_pattern(
    geuwsgi_server: StartServer, backend: Make, ports: Ports, tmp_path: Path
) -> None:
    cached, coded = backend("cached"), backend("coded")
    named = backend("named", str(tmp_path / "named.test.sock"))
    (tmp_path / "find.py").write_text(
        "import uwsgi\n"
        "def find(key):\n"
        f"    return {coded.address!r} if key == b'coded.test' else None\n"
    )
    front, other = ports(), ports()
    ini = tmp_path / "router.ini"
    ini.write_text(
        f"[uwsgi]\nhttp = {front}\nhttp-use-cache = routes\n"
        f"cache2 = name=routes,items=9\n"
        f"add-cache-item = routes cached.test={cached.address},7\n"
        "http-use-code-string = 0:find.py:find\n"
        f"fastrouter = {other}\nfastrouter-use-pattern = {tmp_path}/%%s.sock\n"
        f"http-fallback = {coded.address}\n"
    )
    router = geuwsgi_server(str(ini))
    router.wait_until_ready(front, other)
    assert ask(front, "cached.test:80").text == "cached 7 / "
    assert ask(front, "coded.test").text == "coded 0 / "
    assert ask(front, "unknown.test").text == "coded 0 / "  # the fallback
    variables = {b"HTTP_HOST": b"Named.test", b"REQUEST_METHOD": b"GET"}
    with Client(other) as client:
        client.send(encode_packet(0, encode_vars(variables)))
        assert client.read_to_end().endswith(b"named 0  ")
    assert named.requests == 1


def test_a_configuration_that_leads_nowhere_is_told_with_its_place(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    ini = tmp_path / "router.ini"
    ini.write_text("[uwsgi]\nhttp = 127.0.0.1:0\nhttp-to = 127.0.0.1:none\n")
    server = geuwsgi_server(str(ini))
    assert server.wait() == 1
    assert f"{ini}:3: http-to: malformed port 'none'" in server.log


def test_a_real_uwsgi_announces_itself_to_our_router(
    geuwsgi_server: StartServer,
    reference_uwsgi: str,
    ports: Ports,
    tmp_path: Path,
) -> None:
    pytest.importorskip("cryptography")
    make_key(tmp_path, "a.test")
    router = Router(
        geuwsgi_server,
        ports,
        *("--subscriptions-sign-check", f"SHA256:{tmp_path}"),
        directory=below(tmp_path, "router"),
    )
    (tmp_path / "app.py").write_text(
        "def application(e, s):\n    s('200 OK', [])\n    return [b'real']\n"
    )
    site = geuwsgi_server(
        *("--master", "--socket", ports(), "--wsgi-file", "app.py"),
        *("--die-on-term", "--subscribe-freq", "1", "--subscribe2"),
        f"server={router.subscriptions},key=a.test,sign=SHA256:{tmp_path}/a.test.key",
        *("--subscribe-to", f"{router.subscriptions}:unsigned.test"),
        command=(reference_uwsgi,),
    )
    wait_until(lambda: router.ask("a.test").status == 200)
    assert router.ask("a.test").text == "real"
    assert router.known() == ["a.test"]
    site.stop()
    wait_until(lambda: not router.known())


def make_key(directory: Path, name: str) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    (directory / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    (directory / f"{name}.pem").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
    )


def test_our_instance_announces_itself_to_a_real_uwsgi(
    geuwsgi_server: StartServer,
    reference_uwsgi: str,
    application: Path,
    ports: Ports,
    tmp_path: Path,
) -> None:
    pytest.importorskip("cryptography")
    make_key(tmp_path, "signed.test")
    http, subscriptions = ports(), ports()
    router = geuwsgi_server(
        *("--master", "--http", http, "--http-subscription-server", subscriptions),
        *("--subscriptions-sign-check", f"SHA256:{tmp_path}", "--die-on-term"),
        command=(reference_uwsgi,),
        directory=below(tmp_path, "router"),
    )
    router.wait_until_ready(http)
    router.wait_for_log("spawned uWSGI http 1")
    acks = tmp_path / "acks"
    site = geuwsgi_server(
        *("--master", "--socket", ports(), "--wsgi-file", str(application)),
        *("--gevent", "5", "--subscription-notify-socket", str(acks), "--subscribe2"),
        f"server={subscriptions},key=signed.test,sign=SHA256:{tmp_path}/signed.test.key",
        *("--subscribe-freq", "1"),
    )
    site.wait_for_log(r"\[subscription ack\] signed.test => new node")

    def answers() -> bool:
        with Client(http) as client:
            client.send(b"GET /x HTTP/1.0\r\nHost: signed.test\r\n\r\n")
            return b"UWSGI_ROUTER=http" in client.read_to_end()

    assert answers()
    site.send_signal(signal.SIGHUP)
    site.wait_for_log("generation 2 is ready and takes over")
    assert answers()
    site.stop(signal.SIGTERM)
    router.wait_for_log("signed.test => marking .* as failed")
    assert not answers()
    assert not acks.exists()
