"""Emperors with real vassals."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.testing.client import connect, free_port, get
from geuwsgi.testing.process import ServerProcess

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

APPLICATION = """\
import os

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.environ['SITE']} {os.getppid()}".encode()]
"""


class Empire:
    """A directory of vassals, which all run one application."""

    def __init__(self, directory: Path) -> None:
        self.root = directory
        self.vassals = directory / "vassals"
        self.vassals.mkdir()
        (self.vassals / "app.py").write_text(APPLICATION)
        self.addresses: dict[str, str] = {}
        self.server: ServerProcess | None = None

    def write(self, name: str, more: str = "", site: str = "") -> None:
        """Put a vassal's file in place in one step."""
        address = self.addresses.setdefault(name, f"127.0.0.1:{free_port()}")
        fresh = self.vassals / f"{name}.new"
        fresh.write_text(
            f"[uwsgi]\nhttp-socket = {address}\nmodule = app\ngevent = 5\n"
            f"need-app = true\nenv = SITE={site or name}\n{more}"
        )
        fresh.rename(self.vassals / f"{name}.ini")

    def start(self, *arguments: str) -> ServerProcess:
        self.server = ServerProcess(
            ["--emperor", str(self.vassals), "--emperor-freq", "1", *arguments],
            directory=self.root,
        )
        return self.server

    def wait_until_ready(self, name: str, count: int = 1) -> None:
        assert self.server is not None
        pattern = rf"vassal {name}\.ini is ready"
        self.server.wait_for_log(pattern, count=count, timeout=40)

    def ask(self, name: str) -> list[str]:
        return get(self.addresses[name], "/", 20.0).text.split()

    def wait_for_site(self, name: str, site: str) -> None:
        assert self.server is not None
        self.server.wait_for(
            lambda: self.ask(name)[0] == site, f"serves {site}", timeout=40
        )


@pytest.fixture
def empire(tmp_path: Path) -> Iterator[Empire]:
    made = Empire(tmp_path)
    yield made
    if made.server is not None:
        made.server.kill()


def test_vassals_come_change_break_and_go_alone(empire: Empire) -> None:
    empire.write("one")
    empire.write("two")
    stats = f"127.0.0.1:{free_port()}"
    pidfile = empire.root / "emperor.pid"
    server = empire.start("--emperor-stats", stats, "--emperor-pidfile", str(pidfile))
    empire.wait_until_ready("one")
    empire.wait_until_ready("two")
    assert pidfile.read_text().strip() == str(server.pid)
    two = empire.ask("two")

    master = empire.ask("one")[1]
    empire.write("one", site="changed")
    empire.wait_for_site("one", "changed")
    assert empire.ask("one")[1] == master  # it was reloaded, not started again

    empire.write("three")
    empire.wait_until_ready("three")
    empire.write("broken", "module = nowhere\n")
    server.wait_for_log(r"vassal broken\.ini is tried again in 1 seconds", timeout=40)

    told = json.loads(read_all(stats))
    assert {vassal["id"] for vassal in told["vassals"]} >= {"one.ini", "two.ini"}

    (empire.vassals / "three.ini").unlink()
    server.wait_for_log(r"vassal three\.ini removed \(status 0\)", timeout=40)
    os.kill(int(empire.ask("one")[1]), signal.SIGKILL)
    empire.wait_until_ready("one", count=2)

    assert empire.ask("two") == two  # nothing of all this was its concern
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=40) == 0
    assert not pidfile.exists()
    assert server.processes() == {}


def test_masters_that_are_stopped_and_go_on_lose_nothing(empire: Empire) -> None:
    empire.write("one")
    server = empire.start()
    empire.wait_until_ready("one")
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    (master,) = map(int, children.read_text().split())
    os.kill(master, signal.SIGSTOP)
    try:
        empire.write("one", site="uno")
        server.wait_for_log(r"one\.ini", count=server.log.count("one.ini") + 1)
        assert empire.ask("one")[0] == "one"
    finally:
        os.kill(master, signal.SIGCONT)
    empire.wait_for_site("one", "uno")
    server.send_signal(signal.SIGSTOP)
    try:
        assert empire.ask("one")[0] == "uno"
    finally:
        server.send_signal(signal.SIGCONT)
    # The same process all the time: nobody took it for dead.
    assert str(master) in children.read_text().split()
    assert server.stop() == 0


def test_vassals_drain_when_their_emperor_is_killed(empire: Empire) -> None:
    empire.write("one")
    server = empire.start("--vassal-set", "procname-prefix=vassal-")
    empire.wait_until_ready("one")
    server.send_signal(signal.SIGKILL)
    server.wait_for_log("lost connection with my emperor", timeout=20)
    server.wait_for(lambda: not server.processes(), "leaves nothing", timeout=20)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be a tyrant")
def test_a_tyrant_runs_each_vassal_as_the_owner_of_its_file(empire: Empire) -> None:
    empire.write("one")
    empire.write("roots")
    os.chown(empire.vassals / "one.ini", 65534, 65533)
    # The interpreter itself may be out of reach for that user; a shell is not.
    server = empire.start(
        "--emperor-tyrant", "--exec-as-vassal", "echo I am $(id -u) $(id -g) $(id -G)"
    )
    server.wait_for_log(r"I am 65534 65533 65533$")
    server.wait_for_log(r"vassal roots\.ini cannot be started: .*belong to root")


def test_an_instance_with_workers_can_be_an_emperor_too(empire: Empire) -> None:
    empire.write("one")
    (empire.root / "app.py").write_text(APPLICATION)
    address = f"127.0.0.1:{free_port()}"
    server = empire.start(
        "--http-socket",
        address,
        "--module",
        "app",
        "--gevent",
        "5",
        "--env",
        "SITE=own",
    )
    server.wait_until_ready(address, timeout=40)
    empire.wait_until_ready("one")
    assert get(address, "/", 20.0).text.startswith("own")
    assert empire.ask("one")[0] == "one"
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=40) == 0
    assert server.processes() == {}


def test_a_vassal_that_wants_to_be_a_daemon_stays_where_it_is_watched(
    empire: Empire,
) -> None:
    empire.write("one", "daemonize = one.log\n")
    empire.start()
    empire.wait_until_ready("one")
    assert empire.ask("one")[0] == "one"
    assert "spawned uWSGI worker 1" in (empire.vassals / "one.log").read_text()


def test_uwsgi_serves_under_our_emperor(empire: Empire, reference_uwsgi: str) -> None:
    empire.write("one", "master = true\n")
    server = empire.start("--emperor-wrapper", reference_uwsgi)
    empire.wait_until_ready("one")
    empire.write("one", "master = true\n", site="changed")
    empire.wait_for_site("one", "changed")
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=40) == 0


def test_we_serve_under_the_emperor_of_uwsgi(
    empire: Empire, reference_uwsgi: str
) -> None:
    wrapper = empire.root / "geuwsgi.sh"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -m geuwsgi "$@"\n')
    wrapper.chmod(0o755)
    empire.write("one", "heartbeat = 1\n")
    # uWSGI compares whole seconds: what changes within one is not noticed.
    os.utime(empire.vassals / "one.ini", (1_000_000_000, 1_000_000_000))
    empire.server = ServerProcess(
        [
            "--emperor",
            "vassals",
            "--emperor-freq",
            "1",
            "--emperor-wrapper",
            str(wrapper),
        ],
        directory=empire.root,
        command=[reference_uwsgi],
    )
    empire.wait_until_ready("one")
    empire.write("one", "heartbeat = 1\n", site="changed")
    empire.wait_for_site("one", "changed")
    (empire.vassals / "one.ini").unlink()
    empire.server.wait_for_log(r"removed uwsgi instance one\.ini", timeout=40)


def read_all(address: str) -> bytes:
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        chunks = list(iter(lambda: connection.recv(65536), b""))
    return b"".join(chunks)


def test_a_vassal_on_demand_starts_when_somebody_connects(empire: Empire) -> None:
    address = empire.addresses["shop"] = f"127.0.0.1:{free_port()}"
    (empire.vassals / "shop.ini.at").write_text(f"{address}\n")
    empire.write("shop", "idle = 1\ndie-on-idle = true\nvacuum = true\n")
    server = empire.start("--emperor-on-demand-ext", ".at")
    asleep = r"vassal shop\.ini is started when somebody connects"
    server.wait_for_log(asleep)
    assert len(server.processes()) == 1
    first = empire.ask("shop")
    assert first[0] == "shop"
    # It ends for want of visitors, and comes back with another pid.
    server.wait_for_log(asleep, count=2, timeout=40)
    assert empire.ask("shop")[1] != first[1]
    os.unlink(empire.vassals / "shop.ini")
    server.wait_for_log(r"vassal shop\.ini removed", timeout=40)
    with pytest.raises(ConnectionRefusedError):
        connect(address)


def test_a_vassal_that_asks_for_help_gets_reinforcements(empire: Empire) -> None:
    empire.write(
        "busy",
        "master-fifo = fifo\nzerg-server = door\n"
        "[zerg]\nzerg = door\nmodule = app\nenv = SITE=help\nprotocol = http\n"
        "gevent = 5\nidle = 1\ndie-on-idle = true\n",
    )
    server = empire.start("--emperor-broodlord", "1")
    empire.wait_until_ready("busy")
    fifo = empire.vassals / "fifo"
    fifo.write_text("B")
    server.wait_for_log(r"vassal busy\.ini:zerg is ready", timeout=40)
    fifo.write_text("B")
    server.wait_for_log(r"vassal busy\.ini asks for reinforcements; there are no more")
    # Nobody comes to it: it ends, and is not started again.
    server.wait_for_log(r"vassal busy\.ini:zerg removed", timeout=40)
    assert empire.ask("busy")[0] in ("busy", "help")


def test_an_emperor_beside_workers_tells_how_its_vassals_do(empire: Empire) -> None:
    stats = f"127.0.0.1:{free_port()}"
    empire.write("a")
    address = f"127.0.0.1:{free_port()}"
    server = empire.start(
        *("--http-socket", address, "--wsgi-file", str(empire.vassals / "app.py")),
        *("--env", "SITE=own", "--gevent", "5", "--master"),
        *("--emperor-stats", stats, "--emperor-trigger-socket", "bell"),
    )
    empire.wait_until_ready("a")
    server.wait_until_ready(address, stats)
    with connect(stats) as visitor, visitor.makefile("rb") as told:
        assert [vassal["id"] for vassal in json.load(told)["vassals"]] == ["a.ini"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hand:
        hand.sendto(b"ring", str(empire.root / "bell"))
    assert server.stop(signal.SIGTERM, timeout=40) == 0
