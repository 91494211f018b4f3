"""A clock that is set, a day forward and a day back, while the site serves.

The time of day that the server's processes see is moved by a library that is compiled
here and preloaded; everything else is as ever.
"""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import struct
import subprocess
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, free_port, get
from geuwsgi.testing.fixtures import StartServer

DAY = 86_400
COMPILER = shutil.which("cc") or shutil.which("gcc") or ""

pytestmark = pytest.mark.skipif(not COMPILER, reason="not on this system: a compiler")

LINES = """\
processes = 1
gevent = 20
harakiri = 2
cache2 = name=default,items=10
spooler = spool
cron2 = minute=-1 echo cron >> crons
req-logger = file:logfile=requests.log,maxsize=2000
"""


class WallClock:
    """What the processes take for the time of day."""

    def __init__(self, directory: Path) -> None:
        self.library = directory / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(
            [COMPILER, "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl"],
            check=True,
        )
        self.path = directory / "offset"
        self.path.write_bytes(bytes(8))
        with self.path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "CLOCK_OFFSET": str(self.path)}

    def set(self, offset_s: int) -> None:
        self._memory[:] = struct.pack("=q", offset_s)


def told_time(address: str) -> float:
    told = get(address).header("date")
    assert told is not None
    return parsedate_to_datetime(told).timestamp()


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_a_clock_that_jumps_changes_dates_and_nothing_else(
    geuwsgi_server: StartServer, apps: Path
) -> None:
    (apps / "spool").mkdir()
    clock = WallClock(apps)
    address = f"127.0.0.1:{free_port()}"
    (apps / "site.ini").write_text(
        f"[uwsgi]\nhttp-socket = {address}\nmaster = true\nmodule = timed\n{LINES}"
    )
    server = geuwsgi_server(
        "--ini", "site.ini", directory=apps, environment=clock.environment
    )
    server.wait_for_log("spawned uWSGI worker 1", timeout=40)
    pid = get(address, "/pid").text
    assert get(address, "/remember").text == "done"
    with Client(address) as idle, Client(address) as busy, Client(address) as hung:
        assert idle.request().text == "done"
        began = time.monotonic()
        hung.send(b"GET /sleep?30 HTTP/1.1\r\nHost: a\r\n\r\n")
        for number, days in enumerate((1, -1), 1):
            busy.send(b"GET /sleep?0.5 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert get(address).text == "done"
            before = size_of(apps / "ticks")
            clock.set(days * DAY)
            server.wait_for(
                lambda days=days: (
                    abs(told_time(address) - time.time() - days * DAY)  # type: ignore[misc]
                    < 60
                ),
                "tells the new date",
            )
            # Neither what runs nor what waits has become too old, or will be never.
            assert busy.read_response().text == "done"
            assert idle.request().text == "done"
            # A task whose file is of tomorrow is no task of tomorrow.
            assert get(address, f"/spool?{number}").text == "done"
            server.wait_for(
                lambda number=number: len(lines_of(apps / "spooled")) == number,  # type: ignore[misc]
                "does the task",
            )
            server.wait_for(
                lambda number=number: len(lines_of(apps / "crons")) >= number,  # type: ignore[misc]
                "has looked at the crons of the new minute",
            )
            server.wait_for(
                lambda before=before: size_of(apps / "ticks") > before,  # type: ignore[misc]
                "has its timers",
            )
            if days > 0:
                # What is kept until a time of day is gone by it.
                assert get(address, "/remembered").text == "ever"
        assert hung.read_response().status == 504
        assert time.monotonic() - began < 30
    assert len(lines_of(apps / "crons")) <= 4
    assert get(address, "/pid").text == pid
    # Each line is in one of the files, however these are called.
    for _ in range(60):
        assert get(address, "/counted").text == "done"
    server.send_signal(signal.SIGHUP)
    server.wait_for(lambda: get(address, "/pid").text != pid, "has a new worker")
    assert server.stop(signal.SIGTERM) == 0
    logs = [path.read_text() for path in apps.glob("requests.log*")]
    assert len(logs) > 2
    assert sum(text.count("GET /counted ") for text in logs) == 60
    assert os.path.exists(apps / "requests.log")
