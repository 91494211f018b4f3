"""Instances that share their listening sockets."""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.master.zerg import ZergServerDuty, parse_pool
from geuwsgi.master.zergling import take_zerg_sockets
from geuwsgi.net.listeners import Spec, open_listeners
from geuwsgi.net.zerg import open_server, take_sockets
from geuwsgi.options import Settings, Subscription
from geuwsgi.testing.client import free_port
from geuwsgi.testing.process import ServerProcess
from tests.master.desk import PaperDesk
from tests.master.site import Site

Answer = Callable[[socket.socket], object]


def test_whoever_connects_is_given_the_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "zerg.sock")
    listeners = open_listeners(
        [Spec("socket", "127.0.0.1:0"), Spec("http-socket", "127.0.0.1:0")]
    )
    desk = PaperDesk()
    duty = ZergServerDuty(path, 0o600, listeners, lambda line: None)
    duty.begin(desk)
    (give,) = desk.watched.values()
    giver = threading.Thread(
        target=_when_readable, args=(next(iter(desk.watched)), give)
    )
    giver.start()
    taken = take_sockets(path)
    giver.join()
    names = []
    for passed in taken:
        with socket.socket(fileno=passed.fd) as one:
            names.append(one.getsockname())
    assert names == [listener.socket.getsockname() for listener in listeners]
    duty.end()
    assert not os.path.exists(path)
    for listener in listeners:
        listener.close()


def _when_readable(fileno: int, callback: Callable[[], None]) -> None:
    select.select([fileno], [], [], 10)
    callback()


def test_without_a_server_the_start_fails_unless_it_may_fall_back(
    tmp_path: Path,
) -> None:
    lines: list[str] = []
    path = str(tmp_path / "none.sock")
    with pytest.raises(StartupError, match="no sockets from"):
        take_zerg_sockets(Settings(subscription=Subscription(zerg=(path,))), print)
    settings = Settings(subscription=Subscription(zerg=(path,), zerg_fallback=True))
    assert take_zerg_sockets(settings, lines.append) == []
    assert "going on without" in lines[0]


def test_who_sends_no_sockets_is_no_zerg_server(tmp_path: Path) -> None:
    path = str(tmp_path / "other.sock")
    with open_server(path, None) as server:
        server.setblocking(True)

        def answer() -> None:
            visitor, _ = server.accept()
            with visitor:
                visitor.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(StartupError, match="is no zerg server"):
            take_sockets(path)
        answering.join()


def _send(*fds: int, count: int, greeting: bytes = b"uwsgi-zerg") -> Answer:
    return lambda visitor: socket.send_fds(
        visitor, [greeting + struct.pack("<I", count)], fds
    )


@pytest.mark.parametrize(
    "answer_of",
    [
        lambda fds: lambda visitor: None,
        lambda fds: lambda visitor: visitor.sendall(os.urandom(5000)),
        lambda fds: lambda visitor: visitor.sendall(b"uwsgi-zerg"),
        lambda fds: _send(count=0, greeting=b"uwsgi-zergs"),
        lambda fds: _send(count=1),
        lambda fds: _send(count=1 << 31),
        lambda fds: _send(fds["listening"], count=2),
        lambda fds: _send(fds["listening"], fds["listening"], count=1),
        lambda fds: _send(*[fds["listening"]] * 200, count=200),
        lambda fds: _send(fds["file"], count=1),
        lambda fds: _send(fds["datagrams"], count=1),
        lambda fds: _send(fds["listening"], fds["connected"], count=2),
        lambda fds: _send(fds["listening"], count=1, greeting=b"UWSGI-ZERG"),
    ],
    ids=[
        *("closes", "garbage", "no-count", "long-greeting", "none-of-one", "wraps"),
        *("one-of-two", "two-of-one", "two-hundred", "a-file", "datagrams"),
        *("connected", "another-greeting"),
    ],
)
def test_hostile_servers_give_nothing_and_leave_nothing_open(
    tmp_path: Path, answer_of: Callable[[dict[str, int]], Answer]
) -> None:
    path = str(tmp_path / "hostile.sock")
    with (
        open_server(path, None) as server,
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        socket.create_connection(listening.getsockname()) as connected,
        open(os.devnull, "rb") as file,
    ):
        fds = {
            "listening": listening.fileno(),
            "datagrams": datagrams.fileno(),
            "connected": connected.fileno(),
            "file": file.fileno(),
        }
        server.setblocking(True)

        def serve() -> None:
            visitor, _ = server.accept()
            with visitor:
                answer_of(fds)(visitor)

        serving = threading.Thread(target=serve)
        before = set(os.listdir("/proc/self/fd"))
        serving.start()
        with pytest.raises(StartupError, match=r"is no zerg server|no sockets from"):
            take_sockets(path)
        serving.join()
        assert set(os.listdir("/proc/self/fd")) == before


def test_hostile_visitors_do_not_keep_others_from_the_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "zerg.sock")
    listeners = open_listeners([Spec("socket", "127.0.0.1:0")])
    desk = PaperDesk()
    duty = ZergServerDuty(path, None, listeners, lambda line: None)
    duty.begin(desk)
    ((fileno, give),) = desk.watched.items()
    before = set(os.listdir("/proc/self/fd"))
    silent = []
    for number in range(60):
        visitor = socket.socket(socket.AF_UNIX)
        visitor.connect(path)
        if number % 3 == 0:
            visitor.sendall(os.urandom(1000))
        if number % 3 == 1:
            visitor.close()
        else:
            silent.append(visitor)
        _when_readable(fileno, give)
    give()  # nobody is there
    for visitor in silent:
        visitor.close()
    assert set(os.listdir("/proc/self/fd")) == before
    giver = threading.Thread(target=_when_readable, args=(fileno, give))
    giver.start()
    (taken,) = take_sockets(path)
    giver.join()
    os.close(taken.fd)
    duty.end()
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    ("umask", "mode", "expected"),
    [(0, None, 0o770), (0o077, None, 0o700), (0o077, 0o666, 0o666)],
)
def test_the_sockets_are_not_for_everybody_unless_it_is_said(
    tmp_path: Path, umask: int, mode: int | None, expected: int
) -> None:
    path = tmp_path / "zerg.sock"
    duty = ZergServerDuty(str(path), mode, [], lambda line: None)
    old = os.umask(umask)
    try:
        duty.begin(PaperDesk())
        assert stat.S_IMODE(path.stat().st_mode) == expected
        assert os.umask(umask) == umask
    finally:
        os.umask(old)
        duty.end()


@pytest.mark.e2e
def test_a_second_instance_serves_the_sockets_of_the_first(site: Site) -> None:
    server = site.start("zerg-server = %d/zerg.sock\n", workers=1)
    arguments = "--zerg zerg.sock --master --protocol http --module app --gevent 5"
    second = ServerProcess(arguments.split(), directory=site.directory)
    with second:
        second.wait_for_log("spawned uWSGI worker", timeout=30)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
        assert site.version() == "one"
        site.write_version("two")
        # The zerg server is gone: what serves goes on.
        second.send_signal(signal.SIGHUP)
        second.wait_for_log("no sockets from", timeout=30)
        assert site.version() == "one"


def test_a_pool_is_a_path_and_addresses() -> None:
    pool = parse_pool("/run/pool:127.0.0.1:3031,/tmp/x.sock")
    assert pool == ("/run/pool", ("127.0.0.1:3031", "/tmp/x.sock"))
    with pytest.raises(ConfigError, match="is not path:address"):
        parse_pool("/run/pool")


@pytest.mark.e2e
def test_a_pool_holds_sockets_and_serves_nothing(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    path = tmp_path / "pool.sock"
    arguments = ["--zerg-pool", f"{path}:{address}"]
    with ServerProcess(arguments, directory=tmp_path) as pool:
        pool.wait_for_log("zerg server enabled", timeout=30)
        (passed,) = take_sockets(str(path))
        with socket.socket(fileno=passed.fd) as one:
            host, port = one.getsockname()
        assert f"{host}:{port}" == address
        pool.send_signal(signal.SIGTERM)
        assert pool.wait(timeout=30) == 0
        assert not path.exists()
        assert "spawned uWSGI worker" not in pool.log
