from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.master.daemons import Daemon, DaemonSpec, daemon_specs, parse_daemon
from geuwsgi.master.events import Request
from geuwsgi.options import Daemons, Settings
from tests.master.desk import PaperDesk
from tests.master.site import Site, is_alive

ENVIRON = {"PATH": "/bin:/usr/bin"}


def test_attach_daemon2_is_keys_and_values() -> None:
    spec = parse_daemon(
        r"cmd=redis-server --port 1\,2,pidfile=/run/r.pid,freq=3,control=1,"
        "stopsignal=INT,reloadsignal=1,touch=/a;/b,daemonize=1,chdir=/tmp"
    )
    assert spec == DaemonSpec(
        "redis-server --port 1,2",
        pidfile="/run/r.pid",
        frequency_s=3.0,
        is_control=True,
        daemonizes=True,
        touch=("/a", "/b"),
        stop_signal=signal.SIGINT,
        reload_signal=signal.SIGHUP,
        chdir="/tmp",
    )


@pytest.mark.parametrize(
    "text", ["", "pidfile=/a", "cmd=x,stopsignal=NOPE", "cmd=x,freq=often"]
)
def test_a_wrong_daemon_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="attach-daemon2"):
        parse_daemon(text)


def test_smart_daemons_have_a_pidfile() -> None:
    settings = Settings(
        daemons=Daemons(
            attach_daemon=("a b",),
            smart_attach_daemon=("/run/c.pid c -d",),
            smart_attach_daemon2=("/run/e.pid e -f",),
        )
    )
    assert daemon_specs(settings) == [
        DaemonSpec("a b"),
        DaemonSpec("c -d", pidfile="/run/c.pid"),
        DaemonSpec("e -f", pidfile="/run/e.pid", daemonizes=True),
    ]
    with pytest.raises(ConfigError, match="is not pidfile command"):
        daemon_specs(Settings(daemons=Daemons(smart_attach_daemon=("/run/c.pid",))))


def daemon(spec: DaemonSpec) -> tuple[Daemon, PaperDesk, list[str]]:
    desk, log = PaperDesk(), list[str]()
    return Daemon(spec, desk, ENVIRON, log.append), desk, log


def test_a_daemon_that_ends_at_once_is_started_ever_later() -> None:
    made, desk, log = daemon(DaemonSpec("true", max_throttle_s=3))
    now = 1000.0
    desk.clock = lambda: now
    starts = []
    for _ in range(20):
        made.tick(now)
        if made.pid:
            starts.append(now)
            desk.wait_for_children()
        now += 1
    assert starts == [1000, 1001, 1003, 1006, 1009, 1012, 1015, 1018]
    assert "spawning" in log[0]


def test_the_end_of_a_control_daemon_ends_the_instance() -> None:
    made, desk, _ = daemon(DaemonSpec("false", is_control=True))
    made.tick(0.0)
    desk.wait_for_children()
    assert desk.asked == [(Request.STOP, "'false' has ended")]


def test_a_daemon_ends_with_everything_it_started() -> None:
    made, desk, _ = daemon(DaemonSpec("sleep 60 & wait"))
    made.tick(0.0)
    group = made.pid
    made.end(is_reload=False)
    desk.wait_for_children()
    deadline = time.monotonic() + 5
    while _group_lives(group):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return any(
        fields[4] == str(group) and fields[2] != "Z"
        for fields in (
            Path(f"/proc/{name}/stat").read_text().split()
            for name in os.listdir("/proc")
            if name.isdigit() and Path(f"/proc/{name}/stat").exists()
        )
    )


def test_a_smart_daemon_that_lives_is_only_watched(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    spec = DaemonSpec("exec sleep 60", pidfile=str(pidfile), daemonizes=True)
    first, first_desk, _ = daemon(spec)
    first.tick(0.0)
    deadline = time.monotonic() + 5
    while not (pidfile.exists() and pidfile.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    first.end(is_reload=True)
    assert is_alive(first.pid)
    second, _, log = daemon(spec)
    second.tick(0.0)
    assert second.pid == first.pid
    assert log == [f"[daemons] found 'exec sleep 60' running (pid: {first.pid})"]
    second.end(is_reload=False)
    first_desk.wait_for_children()


def test_a_touched_file_restarts_the_daemon(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    made, desk, _ = daemon(DaemonSpec("exec sleep 60", touch=(str(flag),)))
    made.tick(0.0)
    flag.touch()
    made.tick(1.0)
    desk.wait_for_children()
    assert made.pid == 0
    assert made.respawns == 1


@pytest.mark.e2e
def test_a_daemon_is_started_again_by_a_reload_and_ends_with_the_instance(
    site: Site,
) -> None:
    notes = site.directory / "notes"
    server = site.start(f"attach-daemon = echo $$ >> {notes}; exec sleep 600\n")
    server.wait_for(lambda: notes.exists() and notes.read_text() != "", "starts it")
    server.send_signal(signal.SIGHUP)
    server.wait_for(lambda: len(notes.read_text().split()) == 2, "starts it again")
    old, new = map(int, notes.read_text().split())
    server.wait_for(lambda: not is_alive(old), "ends the former one")
    assert is_alive(new)
    assert server.stop() == 0
    assert not is_alive(new)


@pytest.mark.e2e
def test_a_daemon_that_does_not_want_to_end_is_killed(site: Site) -> None:
    server = site.start("attach-daemon = trap '' TERM; sleep 600; sleep 600\n")
    server.wait_for_log("spawning")
    time.sleep(0.2)
    server.send_signal(signal.SIGTERM)
    assert server.wait(20) == 0
    server.wait_for(lambda: not server.processes(), "ends everything")
