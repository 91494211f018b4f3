"""Steps of the start, and options that change how Python and its processes run."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import pytest

from geuwsgi.cli import main
from geuwsgi.errors import StartupError
from geuwsgi.master.steps import take_locks, write_files
from geuwsgi.options import Process
from geuwsgi.testing.client import Client
from geuwsgi.testing.process import ServerProcess
from tests.master.site import APPLICATION, Site

pytestmark = pytest.mark.e2e


def is_locked(path: Path) -> bool:
    """Whether another process has locked it; only others see a lock of this kind."""
    pid = os.fork()
    if pid == 0:
        fileno = os.open(path, os.O_RDWR)
        try:
            fcntl.lockf(fileno, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] != 0


def test_a_lock_is_held_as_long_as_its_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    name = str(path)
    for process in (
        Process(flock=name),
        Process(flock2=name),
        Process(flock_wait=name),
        Process(flock_wait2=name),
    ):
        (fileno,) = take_locks(process, print)
        assert is_locked(path)
        os.close(fileno)
        assert not is_locked(path)


def test_a_file_to_lock_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"flock: .*: No such file"):
        take_locks(Process(flock=str(tmp_path / "none")), print)


def test_files_are_written_and_what_cannot_be_is_an_error(tmp_path: Path) -> None:
    write_files([f"{tmp_path}/one=a=b", f"{tmp_path}/two="])
    assert (tmp_path / "one").read_text() == "a=b"
    assert (tmp_path / "two").read_text() == ""
    with pytest.raises(StartupError, match=r"file-write: .*: No such file"):
        write_files([f"{tmp_path}/none/file=x"])
    with pytest.raises(StartupError, match="path=content"):
        write_files(["name"])


def test_a_second_instance_is_kept_away_and_the_interpreter_is_as_asked(
    site: Site,
) -> None:
    (site.directory / "lock").touch()
    (site.directory / "shared.py").write_text(
        'import os\nprint("SHARED in", os.getpid(), flush=True)\n'
    )
    site.write_code(
        "import sys, threading\nassert not 'asserted'\n"
        "print('STACK', threading.stack_size(), sys.flags.optimize, flush=True)\n"
        + APPLICATION.format(version="one")
    )
    server = site.start(
        "flock = %d/lock\nfile-write = %d/written=content\nlazy-apps = true\n"
        "shared-import = shared.py\noptimize = 1\nthread-stacksize = 128\n"
    )
    server.wait_for_log("STACK 131072 1", count=2, timeout=30)
    assert is_locked(site.directory / "lock")
    assert (site.directory / "written").read_text() == "content"
    assert server.log.count("SHARED in") == 1
    with ServerProcess(["site.ini"], directory=site.directory) as second:
        assert second.wait() == 1
        assert "lock is locked by another process" in second.log
    assert site.version() == "one"


def test_a_signal_is_sent_by_the_command(site: Site) -> None:
    site.write_code(
        "import uwsgi\nuwsgi.register_signal(7, 'worker', lambda n: "
        "print('SIGNAL', n, flush=True))\n" + APPLICATION.format(version="one")
    )
    server = site.start("socket = %d/site.sock\n", workers=1)
    address = str(site.directory / "site.sock")
    assert main(["--signal", f"{address},7"]) == 0
    server.wait_for_log("SIGNAL 7")
    assert main(["--signal", f"{address},9"]) == 1
    assert main(["--signal", f"{site.directory}/none.sock,7"]) == 1
    assert main(["--signal", address]) == 1


def test_the_log_is_reopened_and_moved_by_reloads(site: Site) -> None:
    log, old, other = (site.directory / f"{name}.log" for name in ("a", "old", "b"))
    told = APPLICATION.replace(
        "def app", 'print("LOADED {version}", flush=True)\ndef app'
    )
    site.write_code(told.format(version="one"))
    site.write_ini("logto = a.log\nlog-reopen = true\n", workers=1)
    with ServerProcess(["site.ini"], directory=site.directory) as server:
        server.wait_until_ready(site.address, timeout=30)
        assert site.version() == "one"
        log.rename(old)
        site.write_code(told.format(version="two"))
        server.send_signal(signal.SIGHUP)
        site.wait_for_version("two")
        assert "LOADED two" in log.read_text()  # the new processes write there
        assert "LOADED one" in old.read_text()
        site.write_ini("logto = b.log\n", workers=1)
        site.write_code(told.format(version="three"))
        server.send_signal(signal.SIGHUP)
        site.wait_for_version("three")
        assert "LOADED three" in other.read_text()
        assert server.stop() == 0


def test_the_memory_of_its_own_replaces_a_worker(site: Site) -> None:
    server = site.start("reload-on-uss = 1\nmem-collector-freq = 1\n", workers=1)
    server.wait_for_log(r"worker 1 \(pid: \d+\) is due for reload-on-uss: \d+ bytes")
    server.wait_for_log("Respawned uWSGI worker 1")


def test_a_busy_worker_says_that_its_cores_are_used_up(site: Site) -> None:
    site.write_ini(workers=1)
    ini = site.ini.read_text().replace("gevent = 50", "gevent = 2")
    site.ini.write_text(ini)
    with ServerProcess(["site.ini"], directory=site.directory) as server:
        server.wait_until_ready(site.address, timeout=30)
        with Client(site.address) as one, Client(site.address) as two:
            for client in (one, two):
                client.send(b"GET /slow?20 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            server.wait_for_log("async queue is full !!! .all 2 cores are busy")
        assert server.stop() == 0
