"""A small server that answers uwsgi packets, in the test's own hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gevent.server import StreamServer

from geuwsgi.background.rpc import RpcTable
from geuwsgi.background.services import Network, Packets
from geuwsgi.background.signals import SignalRouter
from geuwsgi.cache.caches import Caches


class _Stream:
    def __init__(self, sock: Any) -> None:
        self.socket = sock
        self.recv = sock.recv
        self.send_all = sock.sendall


@contextmanager
def packet_server(
    *,
    caches: Caches | None = None,
    rpc: RpcTable | None = None,
    router: SignalRouter | None = None,
    allowed: tuple[Network, ...] = (),
    log: list[str] | None = None,
    host: str = "127.0.0.1",
) -> Iterator[str]:
    """Serve packets; yields the address."""
    lines: list[str] = [] if log is None else log
    packets = Packets(
        caches=caches or Caches(()),
        rpc=rpc or RpcTable(),
        router=router,
        allowed=allowed,
        report=lines.append,
    )

    def serve(sock: Any, address: Any) -> None:
        received = b""
        while len(received) < 4:
            piece = sock.recv(4096)
            if not piece:
                return
            received += piece
        packets.handle(_Stream(sock), received)

    server = StreamServer((host, 0), serve)
    server.start()
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.stop()
