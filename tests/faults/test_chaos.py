"""Processes of every kind killed and stopped at random, under mixed load.

What a killed worker held is lost with it, and nothing else may be: before a worker is
killed it is stopped and asked which connections it has. ``GEUWSGI_CHAOS_MINUTES`` is
how long (`tox -e soak`: ten minutes); a few seconds if it is not set.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from geuwsgi.testing.client import free_port
from geuwsgi.testing.process import ServerProcess
from tests.faults.conftest import start
from tests.faults.mixedload import MixedLoad, PlainLoad, Target

MINUTES = float(os.environ.get("GEUWSGI_CHAOS_MINUTES", "0.05"))
SEED = int(os.environ.get("GEUWSGI_FUZZ_SEED", "1"))

LINES = """\
processes = 3
gevent = 50
listen = 1024
cache2 = name=default,items=100
mules = 1
spooler = spool
attach-daemon2 = cmd=exec sleep 1000
auto-procname = true
disable-logging = true
"""

_KINDS = re.compile(
    r"uWSGI (master|template|worker|mule|spooler|router) ?\d*$|(sleep) 1000$"
)


def family(server: ServerProcess) -> dict[str, list[int]]:
    """The pids of each kind of process."""
    found: dict[str, list[int]] = {}
    for pid, title in server.processes().items():
        if match := _KINDS.match(title):
            found.setdefault(match[1] or match[2], []).append(pid)
    return found


def stop_and_ask(pid: int) -> set[int]:
    """Stop a process; return the ports of the clients whose connections it holds."""
    os.kill(pid, signal.SIGSTOP)
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.001)
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        name = os.readlink(link)
        if name.startswith("socket:"):
            inodes.add(name[8:-1])
    ports = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[9] in inodes and words[3] != "0A":
            ports.add(int(words[2].partition(":")[2], 16))
    return ports


class Chaos:
    """Does something bad to one process after the other; keeps what was lost."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._dice = random.Random(SEED)
        self.done: Counter[str] = Counter()
        self.lost: set[int] = set()

    def act(self) -> None:
        found = family(self._server)
        kind = self._dice.choice(sorted(found))
        pid = self._dice.choice(found[kind])
        # Without its master there is nobody who could put things right.
        kills = kind != "master" and self._dice.random() < 0.6
        try:
            if kills:
                if kind == "worker":
                    self.lost |= stop_and_ask(pid)
                os.kill(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(self._dice.choice((0.1, 0.3, 1.0)))
                os.kill(pid, signal.SIGCONT)
        except (ProcessLookupError, FileNotFoundError):
            return  # it had gone, a moment before
        self.done[f"{kind} {'killed' if kills else 'stopped'}"] += 1

    def is_whole(self) -> bool:
        found = family(self._server)
        return {kind: len(pids) for kind, pids in found.items()} == {
            **{"master": 1, "template": 1, "worker": 3},
            **{"mule": 1, "spooler": 1, "router": 1, "sleep": 1},
        }


@pytest.mark.timeout(120 + 60 * MINUTES * 2)
def test_what_a_killed_worker_held_is_lost_and_nothing_else(apps: Path) -> None:
    (apps / "spool").mkdir()
    uwsgi, plain, router = (f"127.0.0.1:{free_port()}" for _ in range(3))
    lines = (
        f"{LINES}socket = {uwsgi}\nhttp-socket = {plain}\n"
        f"rawrouter = {router}\nrawrouter-to = {plain}\n"
    )
    server, http = start(apps, lines, module="mixed:application")
    with server:
        chaos = Chaos(server)
        server.wait_for(chaos.is_whole, "has all its processes")
        with (
            MixedLoad(Target(http, uwsgi)) as load,
            PlainLoad(router, clients=1) as routed,
        ):
            deadline = time.monotonic() + MINUTES * 60
            while time.monotonic() < deadline:
                chaos.act()
                time.sleep(0.3)
            # A process that has just been replaced may end its first second.
            server.wait_for(chaos.is_whole, "is whole again", timeout=60)
            before = load.served.total()
            server.wait_for(
                lambda: load.served.total() > before + 50, "serves as before"
            )
            before = routed.answered
            server.wait_for(lambda: routed.answered > before + 5, "routes as before")
        unexcused = [one for one in load.failures if one.port not in chaos.lost]
        assert not unexcused, (unexcused, chaos.done, server.log[-3000:])
        # Its client may have been with the one that was killed.
        killed = chaos.done["worker killed"] + chaos.done["router killed"]
        assert len(routed.failed) <= killed, (routed.failed, chaos.done)
        assert server.stop(signal.SIGTERM, timeout=60) == 0
        server.assert_nothing_left()
