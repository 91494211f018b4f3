from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.master.notify import NotifyDuty, notify_duty
from geuwsgi.options import Settings
from geuwsgi.testing.process import ServerProcess
from geuwsgi.worker.instance import share_of_cpus
from tests.master.desk import PaperDesk
from tests.master.site import Site


class Manager:
    """The receiving end, as systemd's."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.settimeout(20)

    def told(self) -> str:
        return self._socket.recv(4096).decode()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


def test_ready_is_told_once_and_the_watchdog_is_fed(manager: Manager) -> None:
    now = 100.0
    desk = PaperDesk()
    desk.clock = lambda: now
    duty = NotifyDuty(manager.address, watchdog_s=4)
    duty.begin(desk)
    assert manager.told() == f"STATUS=loading the application\nMAINPID={os.getpid()}"
    duty.serving()
    duty.serving()
    duty.tick(101)
    assert manager.told() == "READY=1\nSTATUS=serving"
    assert duty.next_deadline() == 102
    duty.tick(102)
    assert manager.told() == "WATCHDOG=1"
    duty.end()
    assert manager.told() == "STOPPING=1\nSTATUS=stopping"


def test_a_manager_that_is_gone_hurts_nobody(tmp_path: Path) -> None:
    duty = NotifyDuty(str(tmp_path / "nobody"))
    duty.begin(PaperDesk())
    duty.serving()
    duty.end()


def test_the_environment_says_whether_there_is_a_manager() -> None:
    assert notify_duty(Settings(), {}) is None
    assert notify_duty(Settings(), {"NOTIFY_SOCKET": "/run/x"}) is not None
    other = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}
    duty = notify_duty(Settings(), other)
    assert duty is not None
    assert duty.key == ("sd_notify", "/x", 0.0)


@pytest.mark.e2e
def test_the_service_is_ready_when_a_worker_is(site: Site, manager: Manager) -> None:
    site.write_ini()
    server = ServerProcess(
        ["site.ini"],
        directory=site.directory,
        environment={**os.environ, "NOTIFY_SOCKET": manager.address},
    )
    with server:
        assert manager.told().startswith("STATUS=loading")
        assert manager.told() == "READY=1\nSTATUS=serving"
        assert site.version() == "one"
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert manager.told().startswith("STOPPING=1")


def test_processors_are_dealt_out_in_turn() -> None:
    assert share_of_cpus(1, 1, 4) == {0}
    assert share_of_cpus(2, 2, 4) == {2, 3}
    assert share_of_cpus(3, 2, 4) == {0, 1}
    assert share_of_cpus(1, 9, 4) == {0, 1, 2, 3}
