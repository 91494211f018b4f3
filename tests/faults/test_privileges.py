"""Who the processes are after root gave everything away, and what their files allow."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import geuwsgi
from geuwsgi.testing.client import Client, free_port, get
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.process import GEUWSGI, ServerProcess
from tests.faults.conftest import APPS, may_mount

USER, GROUP, MORE = "nobody", "nogroup", "daemon"


def _has_users() -> bool:
    try:
        pwd.getpwnam(USER), grp.getgrnam(GROUP), grp.getgrnam(MORE)
    except KeyError:
        return False
    return may_mount()


pytestmark = pytest.mark.skipif(not _has_users(), reason="only root mounts")

LINES = f"""\
socket = site.sock
uid = {USER}
gid = {GROUP}
add-gid = {MORE}
processes = 1
gevent = 10
mules = 1
spooler = spool
attach-daemon = sleep 1000
auto-procname = true
pidfile = site.pid
pidfile2 = second.pid
safe-pidfile = safe.pid
master-fifo = site.fifo
stats = stats.sock
logto2 = main.log
req-logger = file:requests.log
cache2 = name=default,items=50,store=cache.store
queue = 10
queue-store = queue.store
file-write = note.txt=text
post-buffering = 100
py-tracebacker = tracebacks.
env = API_TOKEN=hunter3secret
set-ph = password=hunter2secret
"""


def _opened_for_everybody(hold: Path) -> list[str]:
    """Commands of the shell that let every user run this Python, in its namespace.

    Neither a home directory nor tox's may be entered by others.
    """
    needed: dict[Path, set[str]] = {}
    for name in (sys.executable, sys.prefix, geuwsgi.__file__):
        path = Path(name)
        for one in {path.absolute(), path.resolve()}:
            for place in one.parents:
                if not place.stat().st_mode & 0o001:
                    needed.setdefault(place, set()).add(one.relative_to(place).parts[0])
    commands = []
    # From the outermost on: what is held of it shows those within.
    for number, place in enumerate(sorted(needed)):
        held = hold / str(number)
        commands += [
            f"mkdir {shlex.quote(str(held))}",
            f"mount --rbind {shlex.quote(str(place))} {shlex.quote(str(held))}",
            f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(place))}",
        ]
        for name in needed[place]:
            origin, entry = (shlex.quote(str(top / name)) for top in (held, place))
            commands += [f"mkdir {entry}", f"mount --rbind {origin} {entry}"]
    return commands


def identity(pid: int) -> dict[str, list[str]]:
    """The ids and capabilities of a process, as the kernel has them."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    names = ("Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapAmb")
    return {name: sorted(set(found[name].split())) for name in names}


@pytest.fixture(params=[0o000, 0o077], ids=["open umask", "closed umask"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    try:
        yield request.param
    finally:
        os.umask(before)


@pytest.fixture
def site() -> Iterator[Path]:
    """A directory that everybody may enter: pytest's own are for its user."""
    directory = Path(tempfile.mkdtemp(prefix="geuwsgi-"))
    directory.chmod(0o755)
    hold = directory / "hold"
    hold.mkdir()
    try:
        yield directory
    finally:
        # First, and only if nothing is mounted there outside of the namespace.
        for held in hold.iterdir():
            held.rmdir()
        hold.rmdir()
        shutil.rmtree(directory)


def test_nobody_keeps_anything_of_root_and_no_file_is_for_others_to_write(
    geuwsgi_server: StartServer, site: Path, umask: int
) -> None:
    apps = site / "apps"
    apps.mkdir()
    apps.chmod(0o777)
    for path in APPS.glob("*.py"):
        shutil.copy(path, apps)
        (apps / path.name).chmod(0o644)
    (apps / "spool").mkdir()
    (apps / "spool").chmod(0o777)
    hold = site / "hold"
    address, router = (f"127.0.0.1:{free_port()}" for _ in range(2))
    (apps / "site.ini").write_text(
        f"[uwsgi]\nhttp-socket = {address}\nrawrouter = {router}\n"
        f"rawrouter-to = {address}\nmaster = true\nmodule = faulty:application\n{LINES}"
    )
    script = " && ".join([*_opened_for_everybody(hold), 'exec "$@"'])
    server = geuwsgi_server(
        "--ini",
        "site.ini",
        directory=apps,
        command=("unshare", "--mount", "/bin/sh", "-c", script, "sh", *GEUWSGI),
    )
    server.wait_until_ready(address, timeout=30)
    assert get(address, timeout=30).body == b"done"
    assert get(address, "/spool").body == b"done"
    check_identities(server)
    check_files(server, apps, address)
    # A reload reads the configuration and starts everything anew.
    if not umask:
        pid = get(address, "/pid").text
        server.send_signal(signal.SIGHUP)
        server.wait_for(lambda: get(address, "/pid").text != pid, "is reloaded")
        check_identities(server)
    assert server.stop(signal.SIGTERM) == 0
    told = "".join(path.read_text() for path in apps.glob("*.log*"))
    assert "hunter2secret" not in told and "hunter3secret" not in told


def check_identities(server: ServerProcess) -> None:
    kinds = {"master", "template", "worker", "mule", "spooler", "router", "sleep"}

    def everybody() -> dict[int, str]:
        return {
            pid: title
            for pid, title in server.processes().items()
            if any(kind in title for kind in kinds)
        }

    server.wait_for(
        lambda: kinds <= set(" ".join(everybody().values()).split()), "has all kinds"
    )
    user = pwd.getpwnam(USER)
    groups = {name: str(grp.getgrnam(name).gr_gid) for name in (GROUP, MORE)}
    for pid, title in everybody().items():
        assert identity(pid) == {
            "Uid": [str(user.pw_uid)],
            "Gid": [groups[GROUP]],
            "Groups": sorted({groups[GROUP], groups[MORE]}),
            **{key: ["0" * 16] for key in ("CapPrm", "CapEff", "CapAmb")},
        }, title


def check_files(server: ServerProcess, apps: Path, address: str) -> None:
    made = {apps / name for name in server.left_files()}
    names = {str(path.relative_to(apps)).partition("/")[0] for path in made}
    assert names >= {
        *("site.sock", "site.pid", "second.pid", "safe.pid", "site.fifo", "note.txt"),
        *("stats.sock", "main.log", "requests.log", "cache.store", "queue.store"),
        *("tracebacks.1",),
    }
    for path in made - {apps / "site.sock"}:  # for others as the umask says
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert not mode & 0o002, f"{path.name} has mode {mode:o}"
        if path.suffix not in (".pid", ".txt"):
            assert not mode & 0o007, f"{path.name} has mode {mode:o}"
    for name in ("site.fifo", "cache.store", "queue.store", "tracebacks.1"):
        assert not stat.S_IMODE((apps / name).lstat().st_mode) & 0o077, name
    # What is buffered of a body has no name, and is for nobody else.
    with Client(address) as client:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n"
        client.send(head + b"x" * 200_000)
        found: list[int] = []

        def is_buffered() -> bool:
            found[:] = [
                os.stat(link).st_mode
                for pid in server.processes()
                for link in Path(f"/proc/{pid}/fd").glob("*")
                if "/#" in os.readlink(link)
            ]
            return bool(found)

        server.wait_for(is_buffered, "buffers the body")
        assert not any(stat.S_IMODE(mode) & 0o077 for mode in found)
        client.send(b"x" * 100_000)
        assert client.read_response().status == 200
