"""Hooks with real processes: where each one runs, and what a failing one does."""

from __future__ import annotations

import signal

import pytest

from geuwsgi.testing.process import ServerProcess
from tests.master.site import Site

pytestmark = pytest.mark.e2e


def test_each_hook_runs_at_its_time(site: Site) -> None:
    phases = (
        "asap pre-jail as-root as-user master-start pre-app post-app post-fork "
        "accepting accepting1 accepting-once as-user-atexit"
    ).split()
    server = site.start("".join(f"hook-{p} = log:RAN {p}\n" for p in phases), workers=2)
    server.wait_for_log("RAN accepting1")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("RAN accepting1", count=4)
    server.wait_for_log("RAN accepting$", count=4)
    assert server.stop() == 0
    ran = [
        line.removeprefix("RAN ")
        for line in server.log.splitlines()
        if line.startswith("RAN ")
    ]
    assert ran[:5] == ["asap", "pre-jail", "as-root", "as-user", "master-start"]
    assert ran[5:7] == ["pre-app", "post-app"]
    assert {phase: ran.count(phase) for phase in phases} == {
        **dict.fromkeys(phases, 1),
        "pre-app": 2,
        "post-app": 2,
        "post-fork": 4,
        "accepting": 4,
        "accepting1": 2,
        "accepting-once": 2,
    }
    assert ran[-1] == "as-user-atexit"


def test_the_incantation_for_sigterm_is_understood(site: Site) -> None:
    server = site.start("hook-master-start = unix_signal:10 gracefully_kill_them_all\n")
    server.send_signal(signal.SIGUSR1)
    assert server.wait() == 0
    assert "graceful shutdown triggered (SIGUSR1)" in server.log


@pytest.mark.parametrize(
    "line",
    [
        "exec-as-root = exit 9",
        "hook-asap = unlink:/nowhere/at/all",
        "hook-master-start = unix_signal:15 unknown_function",
        "exec-pre-app = exit 9",
    ],
)
def test_a_hook_that_fails_at_the_start_ends_the_instance(
    site: Site, line: str
) -> None:
    site.write_ini(line + "\n")
    with ServerProcess(["site.ini"], directory=site.directory) as server:
        assert server.wait() == 1
        assert "Traceback" not in server.log
        server.assert_nothing_left()


def test_a_touched_file_runs_a_hook(site: Site) -> None:
    flag = site.directory / "flag"
    server = site.start(f"hook-touch = {flag} log:TOUCHED\n")
    flag.touch()
    server.wait_for_log("^TOUCHED")
    assert site.version() == "one"


def test_a_wrong_hook_is_told_before_anything_starts(site: Site) -> None:
    site.write_ini("hook-post-fork = exce:ls\n")
    with ServerProcess(["site.ini"], directory=site.directory) as server:
        assert server.wait() == 1
        assert "unknown action 'exce'" in server.log


def test_routers_have_a_hook_and_hooks_raise_alarms(site: Site) -> None:
    server = site.start(
        "fastrouter = router.sock\nfastrouter-to = nobody.sock\n"
        "hook-as-gateway = log:RAN in a router\n"
        "alarm = rung log:\nhook-accepting1 = alarm:rung it began\n"
    )
    server.wait_for_log("^RAN in a router")
    server.wait_for_log("ALARM: it began")
    assert server.stop() == 0
