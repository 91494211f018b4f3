"""Reloads of every kind under mixed traffic: nobody may notice."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from geuwsgi.testing import traffic_application
from geuwsgi.testing.client import free_port, get
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.process import GEUWSGI, ServerProcess
from geuwsgi.testing.traffic import Traffic, write_version

#: Fewer than for a measurement, for small machines.
CLIENTS = {
    "short": 1,
    "keep-alive": 2,
    "upload": 1,
    "stream": 1,
    "long poll": 2,
    "websocket": 2,
}

INI = """\
[uwsgi]
http-socket = {address}
master = true
processes = 2
gevent = 100
module = site_application
disable-logging = true
vacuum = true
master-fifo = %d/fifo
touch-reload = %d/touched
touch-chain-reload = %d/chained
touch-workers-reload = %d/workers
fs-reload = %d/watched
py-autoreload = 1
"""


class Deploys:
    """A site under traffic, and a new version of it for each reload."""

    def __init__(
        self, directory: Path, server: ServerProcess, address: str, traffic: Traffic
    ) -> None:
        self.directory = directory
        self.server = server
        self.address = address
        self.traffic = traffic
        self._number = 0

    def deploy(self, reload: Callable[[], object]) -> None:
        """Write the next version, reload, and wait until it answers."""
        self._number += 1
        version = f"v{self._number}"
        write_version(self.directory / "version", version)
        reload()
        self.server.wait_for(
            lambda: self.traffic.has_seen(version), f"answers as {version}", timeout=60
        )

    def touch(self, name: str) -> None:
        os.utime(self.directory / name)

    def write_fifo(self, letter: str) -> None:
        (self.directory / "fifo").write_text(letter)


@contextmanager
def deploys(directory: Path, start: StartServer) -> Iterator[Deploys]:
    """At the end nothing may have been lost, and nothing may be left."""
    shutil.copy(traffic_application.__file__, directory / "site_application.py")
    write_version(directory / "version", "v0")
    for name in ("touched", "chained", "workers", "watched"):
        (directory / name).touch()
    address = f"127.0.0.1:{free_port()}"
    (directory / "site.ini").write_text(INI.format(address=address))
    server = start("site.ini", directory=directory)
    server.wait_for_log("spawned uWSGI worker", count=2, timeout=30)
    with Traffic(address, CLIENTS) as traffic:
        yield Deploys(directory, server, address, traffic)
    assert traffic.losses() == {}, server.log
    assert all(tally.answered for tally in traffic.tallies.values()), traffic.tallies
    assert server.stop(signal.SIGTERM, timeout=30) == 0


@pytest.mark.timeout(240)
def test_no_kind_of_reload_loses_anything(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    with deploys(tmp_path, geuwsgi_server) as site:
        server = site.server

        def kill_template_while_reloading() -> None:
            (*_, latest) = server.wait_for_log(r"WSGI app 0 .* pid: (\d+)")
            server.send_signal(signal.SIGHUP)
            os.kill(int(latest[1]), signal.SIGKILL)

        site.deploy(lambda: server.send_signal(signal.SIGHUP))
        site.deploy(lambda: site.touch("touched"))
        site.deploy(lambda: site.touch("chained"))
        server.wait_for_log("chain reloading complete", timeout=30)
        site.deploy(lambda: site.touch("watched"))
        site.deploy(lambda: site.touch("site_application.py"))
        site.deploy(lambda: site.write_fifo("r"))
        site.deploy(lambda: site.write_fifo("c"))
        server.wait_for_log("chain reloading complete", count=2, timeout=30)
        site.deploy(lambda: get(site.address, "/reload"))
        site.deploy(kill_template_while_reloading)
        # The same code in new workers: no other version will answer.
        site.touch("workers")
        for number in (1, 2):
            server.wait_for_log(rf"Respawned uWSGI worker {number} \(", timeout=30)
            server.wait_for_log(rf"worker {number} buried after", count=10, timeout=30)


def test_what_systemd_passed_outlives_reloads(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    shutil.copy(traffic_application.__file__, tmp_path / "site_application.py")
    ini = tmp_path / "site.ini"
    lines = "[uwsgi]\nmaster = true\ngevent = 5\nmodule = site_application\n"
    ini.write_text(lines)
    with socket.create_server(("127.0.0.1", 0)) as opened:
        address = f"127.0.0.1:{opened.getsockname()[1]}"
        script = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3, inheritable=True);"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()),"
            " LISTEN_FDNAMES='http');"
            "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
        )
        server = geuwsgi_server(
            "site.ini",
            command=(
                *(sys.executable, "-c", script, str(opened.fileno())),
                *GEUWSGI[1:],
            ),
            directory=tmp_path,
            pass_fds=(opened.fileno(),),
        )
        server.wait_for_log("spawned uWSGI worker 1", timeout=30)
        # No option names it; then one does; then none does again.
        for number, option in enumerate(("", f"http-socket = {address}\n", ""), 1):
            ini.write_text(lines + option)
            server.send_signal(signal.SIGHUP)
            server.wait_for_log("is ready and takes over", count=number, timeout=30)
            assert get(address).status == 200
        assert server.stop() == 0
    assert "cannot" not in server.log
