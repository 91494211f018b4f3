"""Counting the connections that wait."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from geuwsgi.net.backlog import waiting_connections


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "unix", "abstract"])
def test_waiting_connections_are_counted(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target: str | tuple[str, int] = (address, 0)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if address in {"unix", "abstract"}:
        family = socket.AF_UNIX
        target = "a.sock" if address == "unix" else "\0geuwsgi-backlog-test"
    with socket.socket(family) as server, contextlib.ExitStack() as peers:
        server.bind(target)
        server.listen(7)
        assert waiting_connections(server) == (0, 7)
        for _ in range(3):
            peer = peers.enter_context(socket.socket(family))
            peer.connect(server.getsockname())
        assert waiting_connections(server) == (3, 7)
        server.accept()[0].close()
        assert waiting_connections(server) == (2, 7)


def test_a_closed_socket_has_none() -> None:
    server = socket.socket(socket.AF_UNIX)
    server.close()
    assert waiting_connections(server) == (0, 0)
