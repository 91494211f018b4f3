"""The server process against commands that are no server at all."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from geuwsgi.testing.client import free_port
from geuwsgi.testing.process import ServerFailed, ServerProcess

LISTEN = """
import signal, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    listener.accept()[0].close()
"""
# A child in another session, which outlives its parent.
DETACH = """
import subprocess
child = subprocess.Popen(["sleep", "60"], start_new_session=True)
print("detached", child.pid, flush=True)
"""


class Run(Protocol):
    def __call__(self, script: str, *arguments: str) -> ServerProcess: ...


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with ExitStack() as running:

        def start(script: str, *arguments: str) -> ServerProcess:
            command = (sys.executable, "-c", script)
            return running.enter_context(
                ServerProcess(arguments, directory=tmp_path, command=command)
            )

        yield start


def test_a_server_is_ready_when_its_port_accepts(run: Run) -> None:
    port = free_port()
    server = run(LISTEN, str(port))
    server.wait_until_ready(f"127.0.0.1:{port}")
    server.wait_for_log("^listening$")
    assert server.is_running()
    assert server.stop(signal.SIGTERM) == -signal.SIGTERM
    server.assert_nothing_left()


def test_a_server_that_ends_early_fails_at_once_with_its_log(run: Run) -> None:
    server = run("import sys; sys.exit('bad port')")
    with pytest.raises(ServerFailed, match=r"(?s)status 1 before.*bad port"):
        server.wait_until_ready("127.0.0.1:1", timeout=50)


def test_a_wait_ends_when_its_time_is_over(run: Run) -> None:
    server = run("import time; time.sleep(60)")
    with pytest.raises(ServerFailed, match=r"0\.02 s"):
        server.wait_for_log("never", timeout=0.02)


def test_a_process_that_outlives_the_server_is_found_and_killed(run: Run) -> None:
    server = run(DETACH)
    match = server.wait_for_log(r"detached (\d+)")[0]
    assert server.wait() == 0
    with pytest.raises(ServerFailed, match="sleep 60"):
        server.assert_nothing_left(timeout=0.02)
    assert int(match[1]) in server.processes()
    server.kill()
    assert server.processes() == {}


def test_a_file_that_the_server_leaves_is_found(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    server = run("open('left.sock', 'w')")
    assert server.wait() == 0
    with pytest.raises(ServerFailed, match=r"left files behind: \['left.sock'\]"):
        server.assert_nothing_left()
