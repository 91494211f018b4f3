"""Connections that stay spread evenly over the workers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from geuwsgi.testing.client import Client, free_port, get
from geuwsgi.testing.fixtures import StartServer

APP = """
import os
from gevent.event import Event

END = Event()

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/stay":
        return stay()
    return [str(os.getpid()).encode()]

def stay():
    yield str(os.getpid()).encode() + b"\\n"
    END.wait(30)
"""


def test_long_connections_spread_evenly(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(APP)
    address = f"127.0.0.1:{free_port()}"
    server = geuwsgi_server(
        *("--http", address, "--wsgi-file", "app.py", "--gevent", "100"),
        *("--master", "--processes", "4"),
        directory=tmp_path,
    )
    server.wait_until_ready(address)
    answered: set[str] = set()

    def all_serve() -> bool:
        answered.add(get(address, "/").text)
        return len(answered) == 4

    server.wait_for(all_serve, "answers from four workers")
    clients = []
    workers: Counter[bytes] = Counter()
    for _ in range(40):
        client = Client(address)
        clients.append(client)
        client.send(b"GET /stay HTTP/1.0\r\n\r\n")
        client.read_until(b"\r\n\r\n")
        workers[client.read_until(b"\n")] += 1
    for client in clients:
        client.close()
    # Ten each where nothing disturbs it; without care one worker may have them all.
    assert len(workers) == 4
    assert min(workers.values()) >= 3, workers
