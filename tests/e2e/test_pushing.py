"""Collectors that a running site pushes its statistics to."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from geuwsgi.testing.client import free_port, get
from geuwsgi.testing.process import ServerProcess

pytestmark = pytest.mark.e2e

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


def test_collectors_get_what_happens(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    address, away = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    with (
        socket.socket(type=socket.SOCK_DGRAM) as statsd,
        socket.create_server(("127.0.0.1", 0)) as carbon,
    ):
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(15)
        carbon.settimeout(15)
        (tmp_path / "site.ini").write_text(
            f"[uwsgi]\nhttp = {address}\nwsgi-file = app.py\ngevent = 10\n"
            f"processes = 2\nstats-push = statsd:127.0.0.1:{_port(statsd)},site\n"
            "stats-push = file:path=pushed,freq=1,separator=\\n--\\n\n"
            f"stats-pusher-default-freq = 1\ncarbon = 127.0.0.1:{_port(carbon)}\n"
            f"carbon = {away}\n"
            "carbon-freq = 1\ncarbon-id = it\ncarbon-max-retry = 0\n"
            "attach-daemon = sleep 1000\ncron = 0 0 1 1 -1 true\n"
        )
        with ServerProcess(["site.ini"], directory=tmp_path) as server:
            server.wait_until_ready(address)
            for _ in range(5):
                assert get(address).status == 200
            counted = 0
            while counted < 5:
                name, _, value = statsd.recv(4096).decode().partition(":")
                if name.startswith("site.worker.") and name.endswith(".requests"):
                    assert value.endswith("|c")
                    counted += int(value.removesuffix("|c"))
            assert counted == 5
            while ".it.requests 5 " not in _connection(carbon):
                pass
            server.wait_for_log(f"carbon {away}: connection refused")
            assert server.stop() == 0
    first, second, *_ = (tmp_path / "pushed").read_text().split("\n--\n")
    for pushed in map(json.loads, (first, second)):
        assert [daemon["cmd"] for daemon in pushed["daemons"]] == ["sleep 1000"]
        (cron,) = pushed["crons"]
        assert (cron["minute"], cron["week"], cron["command"]) == (0, -1, "true")


def _port(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


def _connection(listening: socket.socket) -> str:
    visitor, _ = listening.accept()
    with visitor, visitor.makefile("rb") as received:
        visitor.settimeout(15)
        return received.read().decode()
