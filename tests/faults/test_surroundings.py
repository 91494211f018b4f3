"""Processes that die or stop, disks that are full, readers that do not read."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.testing.client import MalformedResponse, free_port, get
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.process import GEUWSGI, ServerProcess
from tests.faults.conftest import start
from tests.faults.mixedload import PlainLoad

LINES = "processes = 2\ngevent = 20\ndisable-logging = true\n"


def workers(server: ServerProcess) -> list[int]:
    found = server.wait_for_log(
        r"spawned uWSGI worker \d+ \((?:new )?pid: (\d+)", count=2
    )
    return [int(match[1]) for match in found]


def test_a_killed_worker_takes_along_what_it_was_doing_and_no_more(apps: Path) -> None:
    lines = LINES + "auto-procname = true\n"
    server, address = start(apps, lines, module="faulty:application")
    with server:
        workers(server)
        template = next(
            pid for pid, title in server.processes().items() if "template" in title
        )
        held = len(os.listdir(f"/proc/{template}/fd"))
        with PlainLoad(address) as load:
            for round_ in range(3):
                victim = workers(server)[-1]
                os.kill(victim, signal.SIGKILL)
                server.wait_for_log("spawned uWSGI worker", count=3 + round_)
            before = load.answered
            server.wait_for(lambda: load.answered > before + 20, "answers")
        # Each of the three threads may have been with the victim each time.
        assert len(load.failed) <= 9, load.failed
        server.wait_for(
            lambda: len(os.listdir(f"/proc/{template}/fd")) <= held,
            "has a template that holds no more than before",
        )
        assert server.stop(signal.SIGTERM) == 0
        server.assert_nothing_left()


def test_a_stopped_worker_is_replaced_and_its_sibling_answers(apps: Path) -> None:
    server, address = start(apps, LINES)
    with server:
        victim = workers(server)[0]
        os.kill(victim, signal.SIGSTOP)
        answered = 0
        deadline = time.monotonic() + 10
        while answered < 20:
            assert time.monotonic() < deadline
            # What was in the backlog's turn of the stopped one is lost, not more.
            with contextlib.suppress(OSError, MalformedResponse):
                assert get(address, timeout=1).status == 200
                answered += 1
        os.kill(victim, signal.SIGCONT)
        assert get(address).status == 200
        assert server.stop(signal.SIGTERM) == 0
        server.assert_nothing_left()


def test_a_full_disk_for_logs_costs_lines_and_no_request(
    geuwsgi_server: StartServer, apps: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    (apps / "site.ini").write_text(
        f"[uwsgi]\nhttp-socket = {address}\nmaster = true\nmodule = counting\n"
        "processes = 1\nlogto2 = requests.log\n"
    )
    # No file grows beyond 64 MiB, as if the disk ended there; the log is that long.
    full = 64 << 20
    with (apps / "requests.log").open("wb") as log:
        log.truncate(full)
    limited = f'ulimit -f {full // 512}; exec "$@"'
    server = geuwsgi_server(
        "--ini",
        "site.ini",
        directory=apps,
        command=("/bin/sh", "-c", limited, "sh", *GEUWSGI),
    )
    server.wait_until_ready(address)
    for _ in range(150):
        assert get(address).status == 200
        assert get(address, "/\xff%zz").status == 400
    assert (apps / "requests.log").stat().st_size == full
    assert server.stop(signal.SIGTERM) == 0


def test_a_log_reader_that_stops_reading_stops_no_worker(
    geuwsgi_server: StartServer, apps: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    (apps / "site.ini").write_text(
        f"[uwsgi]\nhttp-socket = {address}\nmaster = true\nmodule = counting\n"
        "processes = 1\n"
    )
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb"):
        server = geuwsgi_server(
            "--ini",
            "site.ini",
            directory=apps,
            pass_fds=(writing,),
            command=("/bin/sh", "-c", f'exec "$@" 2>/dev/fd/{writing}', "sh", *GEUWSGI),
        )
        server.wait_until_ready(address)
        for _ in range(600):
            assert get(address, "/" + "x" * 200).status == 200


@pytest.fixture
def group_reader() -> Iterator[None]:
    """Runs as an administrator whose umask lets others write."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def test_files_of_the_server_are_not_for_others_to_write(
    group_reader: None, apps: Path
) -> None:
    server, address = start(
        apps,
        LINES + "pidfile = site.pid\nmaster-fifo = site.fifo\nstats = stats.sock\n"
        "socket = site.sock\nset-ph = password=hunter2secret\n",
    )
    with server:
        assert get(address).status == 200
        for name in ("site.pid", "site.fifo"):
            mode = (apps / name).stat().st_mode
            assert not mode & 0o022, f"{name} has mode {mode & 0o777:o}"
        # Told by the configuration only: neither in the log nor in a title.
        assert "hunter2secret" not in server.log
        for pid in server.processes():
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            assert b"hunter2secret" not in line
