"""Where the log of a running site goes, as ini files say it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from geuwsgi.testing.client import free_port, get
from geuwsgi.testing.process import GEUWSGI, ServerProcess

pytestmark = pytest.mark.e2e

APP = """
import sys

print("imported")

def application(environ, start_response):
    print("printed by the application")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


class Site:
    """A directory with an application, and servers started in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.address = f"127.0.0.1:{free_port()}"
        (directory / "app.py").write_text(APP)

    def start(self, *options: str) -> ServerProcess:
        (self.directory / "site.ini").write_text(
            "\n".join(
                [
                    "[uwsgi]",
                    f"http-socket = {self.address}",
                    "wsgi-file = app.py",
                    "gevent = 5",
                    "master = true",
                    *options,
                    "",
                ]
            )
        )
        return ServerProcess(["--ini", "site.ini"], directory=self.directory)

    def file(self, name: str) -> str:
        path = self.directory / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_logto_collects_everything(site: Site) -> None:
    with site.start("logto = a.log") as server:
        server.wait_until_ready(site.address)
        get(site.address, "/x")
        server.wait_for(lambda: "GET /x" in site.file("a.log"), "logs the request")
        assert server.stop() == 0
    text = site.file("a.log")
    for line in ("imported", "printed by the application", "goodbye to uWSGI."):
        assert line in text
    assert server.log == ""


def test_loggers_take_the_lines_of_every_process(site: Site) -> None:
    with site.start(
        "logger = file:a.log",
        "req-logger = file:req.log",
        'log-req-encoder = json {"line":"${msg}"}',
        "log-req-encoder = nl",
        "log-date = %%Y",
    ) as server:
        server.wait_until_ready(site.address)
        get(site.address, '/x"y')
        server.wait_for(lambda: "GET" in site.file("req.log"), "logs the request")
        assert server.stop() == 0
    text = site.file("a.log")
    assert re.search(r"^\d{4} - spawned uWSGI worker 1 ", text, re.MULTILINE)
    assert re.search(r"^\d{4} - WSGI app 0 ", text, re.MULTILINE)
    assert re.search(r"^\d{4} - goodbye to uWSGI.", text, re.MULTILINE)
    assert re.search(r"^printed by the application$", text, re.MULTILINE)
    assert "GET" not in text
    (line,) = site.file("req.log").splitlines()
    assert "GET /x\\x22y => generated 5 bytes" in json.loads(line)["line"]


def test_datagrams_take_the_lines(site: Site) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        port = receiver.getsockname()[1]
        with site.start(f"logger = socket:127.0.0.1:{port}") as server:
            received = b""
            while b"spawned uWSGI worker" not in received:
                received = receiver.recv(4096)
            assert server.stop() == 0


def test_a_log_is_rotated_by_size_and_reopened_by_touch(site: Site) -> None:
    with site.start(
        "logto = a.log",
        "log-maxsize = 4000",
        "log-backupname = old.log",
        "touch-logreopen = touched",
    ) as server:
        server.wait_until_ready(site.address)
        for number in range(30):
            get(site.address, f"/{number}")
        server.wait_for(lambda: "GET" in site.file("old.log"), "rotates")
        os.rename(site.directory / "a.log", site.directory / "moved.log")
        (site.directory / "touched").touch()
        server.wait_for(lambda: (site.directory / "a.log").exists(), "opens anew")
        get(site.address, "/last")
        server.wait_for(lambda: "GET /last" in site.file("a.log"), "logs the last")
        assert server.stop() == 0
    assert "/last" not in site.file("moved.log")


@pytest.mark.parametrize("log_master", ["false", "true"])
def test_a_reader_of_the_log_that_stops_stops_no_request(
    site: Site, log_master: str
) -> None:
    """What `docker logs` and a paused terminal do."""
    site.start(f"log-master = {log_master}", "log-format = %(uri)").kill()
    (site.directory / "app.py").write_text(APP.replace("    print(", "    # print("))
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [*GEUWSGI, "--ini", "site.ini"],
        cwd=site.directory,
        stdout=writer,
        stderr=writer,
        start_new_session=True,
    )
    os.close(writer)
    try:
        said = b""
        while b"spawned uWSGI worker" not in said:
            said += os.read(reader, 4096)
        # The pipe holds 64 KiB; this is more than three times as much.
        for number in range(400):
            assert get(site.address, f"/{number}" + "x" * 500).body == b"hello"
        said = b""
        while b"/399x" not in said and b"lines were lost" not in said:
            said += os.read(reader, 65536)
            get(site.address, "/again")
        process.send_signal(signal.SIGINT)
        while os.read(reader, 65536):
            pass
        assert process.wait(timeout=15) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("logger = nothing:x", "unable to find logger nothing (known: "),
        ("log-encoder = nothing", 'log encoder "nothing" not found (known: '),
        ("logto = missing/a.log", "cannot open the log file missing/a.log: no such"),
        ("log-route = nobody x", "there is no logger with the id 'nobody'"),
    ],
)
def test_a_log_that_cannot_be_is_told_and_ends_the_start(
    site: Site, option: str, sentence: str
) -> None:
    with site.start(option) as server:
        assert server.wait() == 1
        assert sentence in server.log
