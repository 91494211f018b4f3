"""The master is killed: everybody else ends by himself, and the site can start again."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from geuwsgi.testing.client import connect, free_port, get
from geuwsgi.testing.packet import encode_packet, web_server_vars
from geuwsgi.testing.process import ServerProcess
from tests.faults.conftest import start
from tests.faults.mixedload import MixedLoad, Target

LINES = """\
processes = 2
gevent = 50
listen = 1024
cache2 = name=default,items=100,store=cache.store
queue = 10
queue-store = queue.store
mules = 1
spooler = spool
attach-daemon = sleep 1000
smart-attach-daemon = kept.pid sh -c 'echo $$ > kept.pid; exec sleep 1001'
pidfile = site.pid
safe-pidfile = safe.pid
master-fifo = site.fifo
stats = stats.sock
log-master = true
disable-logging = true
auto-procname = true
"""

#: What a site that nobody holds up any more may keep running.
_KEPT = ("sleep 1001", "kept.pid")


def _others(server: ServerProcess) -> list[str]:
    return [
        line
        for line in server.processes().values()
        if not any(kept in line for kept in _KEPT)
    ]


def test_a_killed_master_costs_no_request_and_its_successor_starts_at_once(
    apps: Path,
) -> None:
    (apps / "spool").mkdir()
    uwsgi, plain, router = (f"127.0.0.1:{free_port()}" for _ in range(3))
    lines = f"{LINES}socket = {uwsgi}\nsocket = site.sock\nhttp-socket = {plain}\n"
    lines += f"rawrouter = {router}\nrawrouter-to = {plain}\n"
    module = "mixed:application"
    first, http = start(apps, lines, module=module)
    second = None
    try:
        first.wait_for(lambda: len(_others(first)) == 8, "has all its processes")
        with MixedLoad(Target(http, uwsgi)) as load:
            first.wait_for(lambda: load.served.total() > 60, "serves")
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            # Whoever supervises it has the next one there while requests still run.
            second = ServerProcess(["--ini", "site.ini"], directory=apps)
            before = load.served.total()
            second.wait_for(lambda: load.served.total() > before + 60, "serves again")
            first.wait_for(lambda: not _others(first), "has no process left")
        failed = [
            one
            for one in load.failures
            if not one.why.startswith(ConnectionRefusedError.__name__)
        ]
        assert not failed, failed
        assert get(router).status == 200
        with connect(str(apps / "site.sock")) as peer:
            peer.sendall(encode_packet(web_server_vars("/")))
            assert peer.recv(100).startswith(b"HTTP/1.1 200 ")
        second.wait_for_log("found .*sleep 1001.* running")
        assert second.stop(signal.SIGTERM) == 0
        second.wait_for(lambda: not _others(first), "ends the daemon that was kept")
        second.assert_nothing_left()
    finally:
        first.kill()
        if second is not None:
            second.kill()


def test_a_socket_of_somebody_else_goes_on_to_let_clients_in(apps: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        fileno = listening.fileno()
        (apps / "site.ini").write_text(
            f"[uwsgi]\nhttp-socket = fd://{fileno}\nmaster = true\nmodule = counting\n"
        )

        def start_on_it() -> ServerProcess:
            return ServerProcess(
                ["--ini", "site.ini"], directory=apps, pass_fds=[fileno]
            )

        with start_on_it() as first:
            assert get(address, timeout=30).status == 200
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            first.wait_for(lambda: not first.processes(), "has no process left")
        with socket.create_connection(listening.getsockname()), start_on_it():
            assert get(address, timeout=30).status == 200
