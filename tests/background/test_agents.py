"""What the master does beside processes: SNMP, alarms of the log, cached responses."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

import pytest

from geuwsgi.protocol.snmp import COUNTER32, COUNTER64
from geuwsgi.testing.client import free_port
from geuwsgi.testing.process import ServerProcess
from tests.background.eventually import eventually
from tests.protocol.test_snmp import request

pytestmark = pytest.mark.e2e

APPLICATION = """\
import sys
import uwsgi

uwsgi.snmp_set_counter32(7, 77)
uwsgi.cache_set("/kept?a=1", b"KEPT")
uwsgi.cache_set("/raw", b"HTTP/1.1 203 Raw\\r\\nX-Kept: yes\\r\\n\\r\\nRAW")

def application(environ, start_response):
    print("DANGER", environ["PATH_INFO"], file=sys.stderr)
    start_response("200 OK", [])
    return [b"application"]
"""


def ask(address: str, tail: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        host, _, port = address.rpartition(":")
        sock.sendto(request(0xA0, tail), (host, int(port)))
        return sock.recv(2000)


def test_the_master_answers_watches_and_a_cache_serves(tmp_path: Path) -> None:
    (tmp_path / "site.py").write_text(APPLICATION)
    http, snmp = (f"127.0.0.1:{free_port()}" for _ in range(2))
    arguments = [
        f"--http-socket={http}",
        f"--snmp={snmp}",
        "--snmp-community=public",
        "--metric=name=mine,oid=100.1,initial_value=42",
        "--alarm=file cmd:cat >> alarms",
        "--alarm=line log:",
        "--log-alarm=file,line ^DANGER",
        "--not-alarm-log=line /quiet",
        "--cache2=name=x,items=10",
        "--check-cache=x",
        "--wsgi-file=site.py",
        "--gevent=3",
    ]
    with ServerProcess(arguments, directory=tmp_path) as server:
        server.wait_until_ready(http)
        server.wait_for_log("spawned uWSGI worker 1", timeout=60)

        def get(path: str) -> tuple[int, bytes]:
            with urllib.request.urlopen(f"http://{http}{path}", timeout=60) as answer:
                return answer.status, answer.read()

        assert get("/kept?a=1") == (200, b"KEPT")
        assert get("/raw") == (203, b"RAW")
        assert get("/kept") == (200, b"application")
        assert get("/quiet") == (200, b"application")
        server.wait_for_log("ALARM: DANGER /kept")
        server.wait_for_log("^DANGER /quiet")
        assert "ALARM: DANGER /quiet" not in server.log
        eventually(lambda: b"/quiet" in (tmp_path / "alarms").read_bytes())
        assert ask(snmp, b"\x64\1").endswith(bytes((COUNTER64, 1, 42)))
        assert ask(snmp, b"\2\7").endswith(bytes((COUNTER32, 1, 77)))
        assert ask(snmp, b"\2\x08").endswith(b"\x81\0")
