from __future__ import annotations

import os
import signal
import subprocess

import pytest

from geuwsgi.master.watch import Ask, Execute, HubWatch, Pulse, Report
from geuwsgi.testing.client import Client, connect
from geuwsgi.testing.process import GEUWSGI
from tests.master.site import Site


def looks(watch: HubWatch, *silences_s: float) -> list[list[type]]:
    """The kinds of verdicts about one worker that is silent for these times."""
    return [[type(v) for v in watch.look([Pulse(7, s)])] for s in silences_s]


def test_a_worker_that_hangs_is_told_of_once() -> None:
    watch = HubWatch(report_s=5, kill_s=0)
    assert looks(watch, 1, 4.9, 5, 6, 100) == [[], [], [Report], [], []]


def test_a_worker_that_hangs_again_is_told_of_again() -> None:
    watch = HubWatch(report_s=5, kill_s=0)
    assert looks(watch, 6, 0.5, 6) == [[Report], [], [Report]]


def test_harakiri_kills_after_the_stacks_are_told() -> None:
    watch = HubWatch(report_s=5, kill_s=30)
    assert looks(watch, 6, 29, 30, 31, 32) == [[Report], [], [], [Execute], [Execute]]


def test_a_short_harakiri_does_not_wait_for_the_report() -> None:
    watch = HubWatch(report_s=5, kill_s=2)
    assert looks(watch, 1.9, 2, 3) == [[], [Report], [Execute]]


def test_harakiri_alone_reports_before_it_kills() -> None:
    watch = HubWatch(report_s=0, kill_s=4)
    assert looks(watch, 3, 4, 5) == [[], [Report], [Execute]]


def test_a_worker_is_asked_to_end_before_it_is_killed() -> None:
    watch = HubWatch(report_s=5, kill_s=10, grace_s=4)
    assert looks(watch, 6, 10, 11, 13.9, 14) == [[Report], [Ask], [], [], [Execute]]
    assert looks(watch, 0, 12, 13) == [[], [Report], [Ask]]


def test_workers_do_not_confuse_each_other() -> None:
    watch = HubWatch(report_s=5, kill_s=0)
    assert watch.look([Pulse(1, 6), Pulse(2, 0)]) == [Report(1, 6)]
    assert watch.look([Pulse(1, 7), Pulse(2, 6)]) == [Report(2, 6)]


@pytest.mark.e2e
def test_a_blocked_hub_is_told_with_its_request_and_line(site: Site) -> None:
    server = site.start("hub-watch = 1\n", workers=1)
    assert site.get("/block?4").startswith("one ")
    server.wait_for_log(r"worker 1 \(pid: \d+\) is blocked: its hub has not turned")
    server.wait_for_log(r"GET /block\?4 since \d+\n  this one runs now")
    assert 'app.py", line' in server.log
    assert "DAMN" not in server.log


@pytest.mark.e2e
def test_harakiri_kills_a_worker_whose_hub_is_blocked(site: Site) -> None:
    server = site.start("harakiri = 1\n", workers=1)
    old = site.worker_pid(1)
    with pytest.raises(Exception, match="ended within a head"):
        site.get("/block?30")
    server.wait_for_log(r"\*\*\* HARAKIRI ON WORKER 1 \(pid: \d+, try: 1")
    server.wait_for_log(rf"DAMN ! worker 1 \(pid: {old}\) died, killed by signal 9")
    assert site.version() == "one"


@pytest.mark.e2e
def test_usr2_tells_what_a_worker_is_doing(site: Site) -> None:
    server = site.start(workers=1)
    os.kill(site.worker_pid(1), signal.SIGUSR2)
    server.wait_for_log(r"\*\*\* worker 1 \(pid: \d+\) status \*\*\*")


@pytest.mark.e2e
def test_a_worker_that_grows_is_replaced(site: Site) -> None:
    server = site.start("evil-reload-on-rss = 1\nmem-collector-freq = 1\n", workers=1)
    server.wait_for_log("is due for evil-reload-on-rss")
    server.wait_for_log("Respawned uWSGI worker 1")
    assert site.version() == "one"


@pytest.mark.e2e
def test_max_requests_replaces_before_it_ends(site: Site) -> None:
    server = site.start("max-requests = 20\nmin-worker-lifetime = 0\n", workers=1)
    with site.load(2):
        server.wait_for_log("is due for max-requests")
        server.wait_for_log("Respawned uWSGI worker 1", count=2, timeout=30)


@pytest.mark.e2e
def test_a_socket_tells_what_a_blocked_worker_does(site: Site) -> None:
    server = site.start("py-tracebacker = %d/stacks\n", workers=1)
    path = site.directory / "stacks1"
    with Client(site.address) as client:
        client.send(b"GET /block?20 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        told = ""
        while "GET /block?20 since" not in told or "time.perf_counter()" not in told:
            with connect(str(path)) as asking:
                told = b"".join(iter(lambda: asking.recv(65536), b"")).decode()
    assert told.startswith("*** uWSGI Python tracebacker output ***")
    command = [*GEUWSGI, "--connect-and-read", str(path)]
    read = subprocess.run(command, capture_output=True, text=True, check=True)
    assert read.stdout.startswith("*** uWSGI Python tracebacker output ***")
    os.kill(site.worker_pid(1), signal.SIGKILL)
    assert site.version() == "one"  # its successor serves
    assert server.stop(signal.SIGTERM) == 0
    assert not path.exists()
