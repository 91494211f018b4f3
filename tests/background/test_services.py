from __future__ import annotations

import socket
import struct
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.socket
import pytest

from geuwsgi.background import remote
from geuwsgi.background.rpc import RpcTable
from geuwsgi.background.services import Packets, parse_network
from geuwsgi.background.signals import SignalRouter
from geuwsgi.cache.caches import Caches
from geuwsgi.errors import ConfigError, Disconnected, RemoteProtocolError
from geuwsgi.protocol import uwsgi
from geuwsgi.shared.client import ask
from geuwsgi.shared.mailboxes import Mailboxes
from geuwsgi.shared.signaltable import SignalTable
from tests.background.servers import packet_server


@pytest.fixture
def rpc() -> RpcTable:
    table = RpcTable()
    table.register(b"join", lambda *parts: b"-".join(parts))
    table.register(b"large", lambda size: b"x" * int(size))
    table.register(b"text", lambda: "text")
    table.register(b"fails", lambda: 1 // 0)
    return table


def test_a_remote_call_returns_what_the_function_returns(rpc: RpcTable) -> None:
    with packet_server(rpc=rpc) as address:
        assert remote.call(address, b"join", [b"a", b"b", b""]) == b"a-b-"
        assert remote.call(address, b"large", [b"65535"]) == b"x" * 65535
        assert remote.call(address, b"large", [b"500000"]) == b"x" * 500_000
        for name in (b"text", b"fails", b"missing", b""):
            assert remote.call(address, name, []) == b""


def test_a_signal_from_another_server_is_raised() -> None:
    boxes = Mailboxes.create(workers=1, mules=0, farms=[], spoolers=False)
    table = SignalTable.create()
    table.register(5, b"worker1")
    with packet_server(router=SignalRouter(table, boxes)) as address:
        remote.send_signal(address, 5)
        with pytest.raises(remote.RemoteRefused, match="does not know signal 6"):
            remote.send_signal(address, 6)
    assert boxes.worker_signals[1].receive() == b"\5"


def test_a_server_that_is_not_there_is_an_error() -> None:
    for address in ("127.0.0.1:1", "/missing/socket", "@missing", "nonsense"):
        with pytest.raises(OSError):
            remote.call(address, b"f", [])


def test_a_ping_is_answered() -> None:
    with packet_server() as address:
        assert ask(address, uwsgi.encode_packet(uwsgi.PING, b"")) == b"d\0\0\1"


def test_a_peer_that_has_reset_the_connection_is_nobodys_fault(rpc: RpcTable) -> None:
    packets = Packets(caches=Caches(()), rpc=rpc, router=None, report=print)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    stream: Any = SimpleNamespace(socket=ours)
    with ours, pytest.raises(Disconnected):
        packets.handle(stream, uwsgi.encode_packet(uwsgi.RPC, b""))


def test_peers_elsewhere_are_refused_unless_they_are_listed(rpc: RpcTable) -> None:
    host = own_address()
    log: list[str] = []
    with packet_server(rpc=rpc, log=log, host=host) as address:
        assert remote.call(address, b"join", [b"a"]) == b""
        assert log == [f"{host} may not use modifier 173 here"]
    with packet_server(rpc=rpc, host=host, allowed=(parse_network(host),)) as address:
        assert remote.call(address, b"join", [b"a"]) == b"a"


def own_address() -> str:
    with gevent.socket.socket(gevent.socket.AF_INET, gevent.socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its own")
        return str(sock.getsockname()[0])


def test_malformed_packets_are_told_and_closed(rpc: RpcTable) -> None:
    log: list[str] = []
    with packet_server(rpc=rpc, log=log) as address:
        assert ask(address, uwsgi.encode_packet(uwsgi.RPC, b"\5\0ab")) == b""
        assert ask(address, uwsgi.encode_packet(uwsgi.RPC, b"")) == b""
        assert ask(address, uwsgi.encode_packet(uwsgi.RPC, b"\1\0a", 3)) == b""
        assert ask(address, uwsgi.encode_packet(uwsgi.CACHE, b"x", 17)) == b""
    assert [line.partition(": ")[2][:20] for line in log] == [
        "uwsgi array item 1 r",
        "a remote call withou",
        "a remote call in the",
        "uwsgi array item wit",
    ]


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 200 OK", b"\xad\xff\xff\0x", b"\xad", b"\xad\0\0\5"]
)
def test_malformed_replies_are_refused(reply: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        remote.decode_reply(reply)


def test_networks_are_parsed() -> None:
    assert str(parse_network("10.1.2.3/8")) == "10.0.0.0/8"
    assert str(parse_network("::1")) == "::1/128"
    with pytest.raises(ConfigError, match="'x' is no address"):
        parse_network("x")


def test_a_silent_server_is_not_waited_for_long() -> None:
    listener = gevent.socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(TimeoutError, match=r"no answer within 0.01 seconds"):
        ask(address, b"", 0.01)
    listener.close()
