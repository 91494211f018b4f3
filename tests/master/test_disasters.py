"""Bad moments: full disks, kills while processes are born, workers that only die."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from geuwsgi.testing.process import GEUWSGI, ServerProcess
from tests.master.site import APPLICATION, Site

pytestmark = pytest.mark.e2e

only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may mount")


def in_full_file_system(directory: Path) -> tuple[str, ...]:
    """A command with a small file system of its own at ``directory``, full to the end.

    Only that command sees it; ``TMPDIR`` lies there too.
    """
    directory.mkdir()
    script = (
        f"mount -t tmpfs -o size=64k tmpfs {directory} && touch {directory}/pid {directory}/log && "
        f"mkdir {directory}/tmp && "
        f"{{ dd if=/dev/zero of={directory}/filler bs=4k 2>/dev/null || true; }} && "
        f'export TMPDIR={directory}/tmp && exec "$@"'
    )
    return ("unshare", "--mount", "/bin/sh", "-c", script, "sh", *GEUWSGI)


def may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory() as name:
        mounting = f"mount -t tmpfs -o size=4k tmpfs {name}"
        command = ["unshare", "--mount", "/bin/sh", "-c", mounting]
        return subprocess.run(command, capture_output=True).returncode == 0


def test_a_log_that_takes_nothing_costs_lines_and_no_reload(site: Site) -> None:
    site.write_ini("logto2 = /dev/full\n", workers=1)
    with ServerProcess(["site.ini"], directory=site.directory) as server:
        server.wait_until_ready(site.address, timeout=30)
        first = int(site.get().split()[1])
        os.kill(first, signal.SIGKILL)
        server.wait_for(lambda: int(site.get().split()[1]) != first, "has another one")
        site.write_version("two")
        server.send_signal(signal.SIGHUP)
        server.wait_for(lambda: site.version() == "two", "reloads", timeout=30)
        assert server.stop(signal.SIGTERM) == 0


@only_root
@pytest.mark.skipif(not may_mount(), reason="only root with all rights may mount")
def test_a_full_disk_for_log_and_temporary_files_stops_no_reload(site: Site) -> None:
    full = site.directory / "full"
    site.write_ini(f"logto2 = {full}/log\n", workers=1)
    command = in_full_file_system(full)
    with ServerProcess(
        ["site.ini"], directory=site.directory, command=command
    ) as server:
        server.wait_until_ready(site.address, timeout=30)
        site.write_version("two")
        server.send_signal(signal.SIGHUP)
        server.wait_for(lambda: site.version() == "two", "reloads", timeout=30)
        assert server.stop(signal.SIGTERM) == 0


@only_root
@pytest.mark.skipif(not may_mount(), reason="only root with all rights may mount")
def test_a_pidfile_that_cannot_be_written_ends_the_start(site: Site) -> None:
    full = site.directory / "full"
    site.write_ini(f"safe-pidfile = {full}/pid\n", workers=1)
    command = in_full_file_system(full)
    with ServerProcess(
        ["site.ini"], directory=site.directory, command=command
    ) as server:
        assert server.wait() == 1
        assert f"cannot write the pidfile {full}/pid: no space left" in server.log


def test_a_master_without_descriptors_reloads_when_it_has_some_again(
    site: Site,
) -> None:
    server = site.start()
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir(f"/proc/{server.pid}/fd")))
    site.write_version("two")
    # Enough to read the configuration, too little for everything after it.
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 2, limits[1]))
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("generation 2 failed: .*generation 1 keeps serving", timeout=30)
    os.kill(site.worker_pid(1), signal.SIGKILL)
    server.wait_for_log("worker 1 .* died", timeout=30)
    assert site.version() == "one"
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
    server.wait_for_log("Respawned uWSGI worker 1", timeout=30)
    server.send_signal(signal.SIGHUP)
    site.wait_for_version("two")
    assert "Traceback" not in server.log


def test_workers_that_only_die_leave_the_generation_that_serves_alone(
    site: Site,
) -> None:
    server = site.start()
    with site.load(2):
        site.write_code(
            "import os, uwsgi\n\ndef die():\n    os._exit(1)\n\n"
            "uwsgi.post_fork_hook = die\n" + APPLICATION.format(version="two")
        )
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("generation 2 failed: its workers die before", timeout=30)
        assert site.version() == "one"
    assert server.log.count("died") <= 6
    site.write_version("three")
    server.send_signal(signal.SIGHUP)
    site.wait_for_version("three")


def test_workers_that_only_die_are_forked_with_pauses(site: Site) -> None:
    site.write_code(
        "import os, uwsgi\nuwsgi.post_fork_hook = lambda: os._exit(1)\n"
        + APPLICATION.format(version="one")
    )
    site.write_ini()
    with ServerProcess(["site.ini"], directory=site.directory) as server:
        server.wait_for_log("respawning too fast", count=2, timeout=30)
        # Two workers: each at once, once more, then after each pause.
        assert server.log.count("died") <= 6
        site.write_version("mended")
        server.send_signal(signal.SIGHUP)
        server.wait_until_ready(site.address, timeout=30)
        site.wait_for_version("mended")
        assert server.stop() == 0


def test_template_and_worker_may_be_killed_at_once_again_and_again(site: Site) -> None:
    server = site.start()
    for number in range(1, 3):
        # The worker's successor is ordered from a template that is dying.
        worker, template = site.worker_pid(1), site.template_pid()
        os.kill(worker, signal.SIGKILL)
        os.kill(template, signal.SIGKILL)
        server.wait_for_log("WSGI app 0 .* ready", count=number + 1, timeout=30)
        server.wait_for_log(r"Respawned uWSGI worker 1 \(", count=number, timeout=30)
        assert site.version() == "one"
    assert server.stop() == 0
    server.assert_nothing_left()
