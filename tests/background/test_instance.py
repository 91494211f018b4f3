"""A whole instance: what its processes share and do beside requests."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from geuwsgi.background import remote
from geuwsgi.cache.command import main as cache_command
from geuwsgi.testing.client import free_port
from geuwsgi.testing.process import ServerProcess

APPLICATION = Path(__file__).with_name("application.py")

pytestmark = pytest.mark.e2e


class Site:
    def __init__(self, server: ServerProcess, http: str, uwsgi: str) -> None:
        self.server = server
        self.http = http
        self.uwsgi = uwsgi

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.http}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def pids(self, what: str) -> list[int]:
        pattern = rf"[Ss]pawned uWSGI {what} \d+ \((?:new )?pid: (\d+)"
        spawned = re.findall(pattern, self.server.log)
        return [int(pid) for pid in spawned]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    shutil.copy(APPLICATION, tmp_path / "application.py")
    (tmp_path / "tasks").mkdir()
    http, uwsgi = (f"127.0.0.1:{free_port()}" for _ in range(2))
    arguments = [
        "--master",
        "--processes=2",
        "--gevent=10",
        f"--http-socket={http}",
        f"--socket={uwsgi}",
        "--wsgi-file=application.py",
        "--cache2=name=c,items=100",
        "--queue=10",
        "--locks=1",
        "--mules=2",
        "--spooler=tasks",
        "--forkbomb-delay=0",
    ]
    with ServerProcess(arguments, directory=tmp_path) as server:
        server.wait_until_ready(http, uwsgi)
        yield Site(server, http, uwsgi)
        server.send_signal(signal.SIGTERM)
        server.wait()
        server.assert_nothing_left()


def test_processes_share_and_work_together(site: Site) -> None:
    for who in ("worker 1", "worker 2", "mule 1", "mule 2", "spooler"):
        site.server.wait_for_log(f"@ forked {who}")
    # The cache and the queue belong to all workers.
    assert sorted(int(site.get("/inc")) for _ in range(10)) == list(range(1, 11))
    for number in range(5):
        site.get(f"/push?v={number}")
    assert [site.get("/pull") for _ in range(5)] == list("01234")
    # Signals, timers, mules, the spooler.
    site.get("/signal")
    site.server.wait_for_log("@ signal 17 in worker 1")
    site.server.wait_for_log("@ signal 17 in worker 2")
    site.server.wait_for_log("@ tick in mule 1")
    site.get("/mule?v=hello")
    site.server.wait_for_log("@ hello in mule 1")
    site.get("/spool?n=1")
    site.server.wait_for_log("@ task 1 in spooler")
    # Channels.
    site.get("/publish?v=news")
    for who in ("worker 1", "worker 2", "mule 1", "mule 2"):
        site.server.wait_for_log(f"@ heard news in {who}")
    # Other servers.
    assert remote.call(site.uwsgi, b"who", []) in (b"worker 1", b"worker 2")
    remote.send_signal(site.uwsgi, 17)
    site.server.wait_for(
        lambda: site.server.log.count("@ signal 17 in worker 1") == 2, "the signal"
    )
    assert cache_command([site.uwsgi, "set", "key", "value"]) == 0
    assert site.get("/get") == "value"


def test_a_lock_is_held_by_one_request_at_a_time(site: Site) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(site.get, ["/locked"] * 8))
    times = sorted(tuple(map(float, answer.split())) for answer in answers)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(times))
    # A request that forgets its lock does not keep it, whoever looks.
    assert site.get("/leave-locked") == "left"
    site.server.wait_for_log("GET /leave-locked ended with lock 1 taken")
    assert [site.get("/is-locked") for _ in range(4)] == ["False"] * 4


def test_mules_and_spoolers_that_die_come_back(site: Site) -> None:
    site.get("/mule?v=die")
    site.server.wait_for(lambda: len(site.pids("mule")) == 3, "the mule")
    site.get("/mule?v=again")
    site.server.wait_for_log("@ again in mule 1")
    site.server.wait_for(lambda: bool(site.pids("spooler")), "the first spooler")
    (first,) = site.pids("spooler")
    assert site.get("/pids") == f"[{first}]"
    os.kill(first, signal.SIGKILL)
    site.server.wait_for(lambda: len(site.pids("spooler")) == 2, "the spooler")
    site.get("/spool?n=2")
    site.server.wait_for_log("@ task 2 in spooler")


def test_a_reload_keeps_what_is_shared(site: Site) -> None:
    site.get("/set?v=kept")
    site.get("/push?v=message")
    site.server.send_signal(signal.SIGHUP)
    site.server.wait_for(lambda: len(site.pids("spooler")) == 2, "the new spooler")
    site.server.wait_for_log("spooler 1 buried")
    assert site.get("/get") == "kept"
    assert site.get("/pull") == "message"
    site.get("/signal")
    site.server.wait_for_log("@ signal 17 in worker 1")
    site.get("/mule?v=after")
    site.server.wait_for_log("@ after in mule 1")
    site.get("/spool?n=3")
    site.server.wait_for_log("@ task 3 in spooler")
