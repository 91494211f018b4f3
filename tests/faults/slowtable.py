"""What crowds of slow peers do to ordinary requests, on each kind of socket.

    python -m tests.faults.slowtable [SECONDS [PEERS [SOCKET…]]]

Prints what `docs/security.md` shows: milliseconds of requests one after the other, each
on a connection of its own (median, 95 %, longest), and megabytes of workers and
routers (before, at most, after).
"""

from __future__ import annotations

import contextlib
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from geuwsgi.testing.client import free_port
from geuwsgi.testing.process import ServerProcess
from tests.faults.slowpeers import KINDS, ask
from tests.faults.test_slow import make_certificate

#: (lines of the configuration, protocol) by what the table calls it.
SOCKETS = {
    "`http-socket`": ("http-socket = {}", "http"),
    "`https-socket`": ("https-socket = {},cert.pem,key.pem", "https"),
    "HTTP/2": ("http-socket = {}\nhttp2 = true", "http2"),
    "`socket`": ("socket = {}", "uwsgi"),
    "`fastcgi-socket`": ("fastcgi-socket = {}", "fastcgi"),
    "`scgi-socket`": ("scgi-socket = {}", "scgi"),
    "`http`, two processes": ("http = {}\nprocesses = 2", "http"),
    "site.sock": ("socket = site.sock", "uwsgi"),
    "`http`, `http-to`": ("http = {}\nhttp-to = behind/site.sock", "http"),
}
#: A reader's answer is 3 MB, a flood is one peer after the other.
COUNTS = {"readers": 0.75, "ranges": 0.25}

#: Seconds after a crowd went until memory is looked at.
SETTLE_S = 1.0

_SITE = """\
def application(environ, start_response):
    environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'x' * 3_000_000 if environ['PATH_INFO'] == '/big' else b'ok']
"""
_LINES = """\
[uwsgi]
master = true
gevent = 20
module = site_:application
listen = 1024
disable-logging = true
slow-readers-memory = 32
static-map = /files=files
"""


def workers_of(servers: list[ServerProcess]) -> list[int]:
    """The processes that serve: workers and routers."""
    told = r"spawned uWSGI (?:worker|router) \d+ \(pid: (\d+)"
    return [int(pid) for server in servers for pid in re.findall(told, server.log)]


def megabytes(pids: list[int]) -> int:
    """What these keep resident."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def serve(
    directory: Path, name: str, opened: ExitStack
) -> tuple[list[ServerProcess], str]:
    """Processes of which only the socket ``name`` listens, and its address."""
    address = f"127.0.0.1:{free_port()}"
    line, _ = SOCKETS[name]
    (directory / "files").mkdir()
    (directory / "files" / "big.bin").write_bytes(bytes(3_000_000))
    if "cert.pem" in line:
        make_certificate(directory)
    servers = []
    if "behind" in line:
        (directory / "behind").mkdir()
        behind, _ = serve(directory / "behind", "site.sock", opened)
        servers += behind
        lines = "[uwsgi]\nmaster = true\nlisten = 1024\ndisable-logging = true\n"
    else:
        (directory / "site_.py").write_text(_SITE)
        lines = _LINES
    (directory / "site.ini").write_text(lines + line.format(address))
    server = opened.enter_context(
        ServerProcess(["--ini", "site.ini"], directory=directory)
    )
    count = 2 if "processes = 2" in line else 1
    server.wait_for_log("spawned uWSGI (worker|router)", count=count, timeout=40)
    return [*servers, server], address


def measure(
    pids: list[int],
    name: str,
    address: str,
    kind: str,
    seconds: float,
    peers: int,
) -> tuple[str, str]:
    """The two cells of a crowd."""
    protocol = SOCKETS[name][1]
    for _ in range(20):
        ask(protocol, address)
    before = most = megabytes(pids)
    count = max(1, int(peers * COUNTS.get(kind, 1)))
    command = [sys.executable, "-m", "tests.faults.slowpeers", kind, protocol, address]
    times: list[float] = []
    failed, looked = 0, 0.0
    with subprocess.Popen(
        ["nice", "-n", "10", *command, str(seconds), str(count)], stdout=subprocess.PIPE
    ) as crowd:
        while crowd.poll() is None:
            began = time.perf_counter()
            try:
                ask(protocol, address)
            except (OSError, AssertionError) as error:
                failed += 1
                print(f"failed: {error!r}", file=sys.stderr)
            times.append((time.perf_counter() - began) * 1000)
            if began - looked > 0.25:
                looked = began
                most = max(most, megabytes(pids))
            time.sleep(0.005)
        assert crowd.stdout is not None
        said = crowd.stdout.read().decode().strip()
    time.sleep(SETTLE_S)
    after = megabytes(pids)
    times.sort()
    found = [times[len(times) // 2], times[len(times) * 95 // 100], times[-1]]
    shown = ", ".join(f"{one:.1f}" if one < 10 else f"{one:.0f}" for one in found)
    print(
        f"{name} {kind}: {len(times)} requests, {failed} failed; {shown} ms; "
        f"{before}, {most}, {after} MB; {said}",
        file=sys.stderr,
        flush=True,
    )
    return shown + (
        f" ({failed} failed)" if failed else ""
    ), f"{before}, {most}, {after}"


def main(seconds: float, peers: int, names: list[str]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    rows: list[tuple[str, list[tuple[str, str]]]] = []
    for name in names:
        with tempfile.TemporaryDirectory() as directory, ExitStack() as opened:
            servers, address = serve(Path(directory), name, opened)
            pids = workers_of(servers)
            cells = [
                measure(pids, name, address, kind, seconds, peers) for kind in KINDS
            ]
            rows.append((name, cells))
            for server in servers:
                _, _, said = server.log.partition(" master process (")
                for line, count in Counter(said.splitlines()[1:]).items():
                    print(f"  {count} times {line}", file=sys.stderr, flush=True)
    for part in (0, 1):
        print("| | " + " | ".join(KINDS) + " |")
        print("|---" * (len(KINDS) + 1) + "|")
        for name, cells in rows:
            print(f"| {name} | " + " | ".join(cell[part] for cell in cells) + " |")
        print()


if __name__ == "__main__":
    main(
        float(sys.argv[1]) if sys.argv[1:] else 2.5,
        int(sys.argv[2]) if sys.argv[2:] else 200,
        sys.argv[3:] or [name for name in SOCKETS if name != "site.sock"],
    )
