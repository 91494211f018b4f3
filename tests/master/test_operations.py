"""What an operator does: fifo, signals, pidfile commands."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client
from tests.master.site import Site, is_alive

pytestmark = pytest.mark.e2e


def write(fifo: Path, letters: str) -> None:
    """Write as a shell does, and never wait for a reader."""
    descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    os.write(descriptor, letters.encode())
    os.close(descriptor)


def test_the_fifo_takes_letters_from_one_writer_after_the_other(site: Site) -> None:
    fifo = site.directory / "fifo"
    server = site.start(f"master-fifo = {fifo}\n")
    assert stat.S_IMODE(fifo.stat().st_mode) == 0o600
    inode = fifo.stat().st_ino
    for _ in range(20):
        write(fifo, "s\n")
    server.wait_for_log(r"worker 1 \(pid: \d+\): \d+ requests", count=20)
    site.write_version("two")
    write(fifo, "r")
    site.wait_for_version("two")
    assert fifo.stat().st_ino == inode
    write(fifo, "q")
    assert server.wait() == 0
    assert not fifo.exists()
    server.assert_nothing_left()


def test_a_digit_switches_to_another_fifo(site: Site) -> None:
    first, second = site.directory / "a", site.directory / "b"
    server = site.start(f"master-fifo = {first}\nmaster-fifo = {second}\n")
    write(first, "1")
    server.wait_for_log("active master fifo is now .*/b")
    write(second, "Q")
    assert server.wait() == 0


def test_a_file_that_is_no_fifo_is_not_replaced(site: Site) -> None:
    precious = site.directory / "precious"
    precious.write_text("mine")
    site.write_ini(f"master-fifo = {precious}\n")
    ended = subprocess.run(
        [sys.executable, "-m", "geuwsgi", "site.ini"],
        cwd=site.directory,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 1
    assert "exists and is no fifo" in ended.stderr
    assert precious.read_text() == "mine"


def test_w_forks_the_workers_anew_from_the_same_code(site: Site) -> None:
    fifo = site.directory / "fifo"
    server = site.start(f"master-fifo = {fifo}\n")
    before = {site.worker_pid(1), site.worker_pid(2)}
    site.write_version("two")
    with site.load(2):
        write(fifo, "w")
        server.wait_for_log("Respawned uWSGI worker", count=2)
        server.wait_for(lambda: not any(map(is_alive, before)), "ends the old ones")
    assert site.version() == "one"


def test_a_paused_instance_answers_when_it_is_resumed(site: Site) -> None:
    server = site.start()
    server.send_signal(signal.SIGTSTP)
    server.wait_for_log("workers paused")
    time.sleep(0.2)
    with pytest.raises(TimeoutError):
        site.get(timeout=0.5)
    server.send_signal(signal.SIGTSTP)
    server.wait_for_log("workers resumed")
    assert site.version() == "one"


def run(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "geuwsgi", *arguments],
        cwd=site.directory,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_the_pidfile_is_for_reload_and_stop(site: Site) -> None:
    server = site.start()
    site.write_version("two")
    assert run(site, "--reload", "site.pid").returncode == 0
    site.wait_for_version("two")
    assert run(site, "--stop", "site.pid").returncode == 0
    assert server.wait() == 0
    assert not (site.directory / "site.pid").exists()
    missing = run(site, "--stop", "site.pid")
    assert missing.returncode == 1
    assert missing.stderr == "there is no process id in site.pid\n"


def signal_all(site: Site, number: signal.Signals) -> None:
    """Signal every process, of which some may end meanwhile because of it."""
    for pid in site.server.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def test_a_terminal_that_interrupts_the_group_gets_a_clean_end(site: Site) -> None:
    # Ctrl-C reaches the workers and the template as well as the master.
    server = site.start()
    signal_all(site, signal.SIGINT)
    assert server.wait() == 0
    assert "DAMN" not in server.log
    server.assert_nothing_left()


def test_a_unit_that_is_terminated_whole_finishes_its_requests(site: Site) -> None:
    # systemd sends TERM to every process of the control group.
    server = site.start()
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(site.get("/slow?1")))
    asking.start()
    time.sleep(0.3)
    signal_all(site, signal.SIGTERM)
    asking.join()
    assert answers[0].startswith("one ")
    assert server.wait() == 0
    server.assert_nothing_left()


def test_a_second_term_does_not_wait(site: Site) -> None:
    server = site.start(workers=1)
    with Client(site.address) as client:
        client.send(b"GET /slow?30 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        server.send_signal(signal.SIGTERM)
        server.wait_for_log("graceful shutdown triggered")
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0
    server.assert_nothing_left()


def test_a_ping_tells_who_lives(site: Site) -> None:
    path = site.directory / "uwsgi.sock"
    server = site.start(f"uwsgi-socket = {path}\n")
    assert run(site, "--ping", str(path)).returncode == 0
    nagios = run(site, "--socket", str(path), "--nagios")
    assert (nagios.returncode, nagios.stdout) == (0, "UWSGI OK: armed and ready\n")
    assert server.stop() == 0
    assert run(site, "--ping", str(path)).returncode == 1
    nagios = run(site, "--socket", str(path), "--nagios")
    assert nagios.returncode == 2
    assert nagios.stdout.startswith("UWSGI CRITICAL: could not connect()")


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGTERM, 0),
        (signal.SIGQUIT, 0),
        (signal.SIGINT, 30),
        (signal.SIGHUP, 17),
    ],
)
def test_without_a_master_the_one_process_finishes_and_ends(
    site: Site, number: signal.Signals, status: int
) -> None:
    server = site.start("master = false\n", workers=1, spawned=0)
    assert len(server.processes()) == 1
    server.send_signal(number)
    assert server.wait() == status
