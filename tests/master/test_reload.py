"""Reloads with real processes, under load and at bad moments."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from geuwsgi.testing.client import get
from geuwsgi.testing.process import ServerProcess
from tests.master.site import Site, is_alive

pytestmark = pytest.mark.e2e


def test_a_syntax_error_leaves_the_old_code_serving(site: Site) -> None:
    server = site.start()
    with site.load():
        site.write_code("def application(:\n")
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("generation 2 failed: .*generation 1 keeps serving")
        assert "SyntaxError" in server.log
        assert site.version() == "one"
        site.write_version("mended")
        server.send_signal(signal.SIGHUP)
        site.wait_for_version("mended")


def test_a_wrong_configuration_leaves_the_old_one_serving(site: Site) -> None:
    server = site.start()
    with site.load():
        site.write_ini("harakiri = soon\n")
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("generation 2 failed: .*generation 1 keeps serving")
        assert "site.ini:10" in server.log
        site.ini.unlink()
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("generation 3 failed: .*generation 1 keeps serving")
        site.write_ini()
        site.write_version("two")
        server.send_signal(signal.SIGHUP)
        site.wait_for_version("two")


def test_a_port_that_is_taken_leaves_the_old_configuration(site: Site) -> None:
    server = site.start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        site.write_ini(f"http-socket = 127.0.0.1:{taken.getsockname()[1]}\n")
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("generation 2 failed: .*generation 1 keeps serving")
    assert site.version() == "one"


def test_a_template_that_hangs_is_replaced_by_the_next_reload(site: Site) -> None:
    server = site.start()
    site.write_code("import time\nprint('HANGING', flush=True)\ntime.sleep(3600)\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("HANGING")
    assert site.version() == "one"
    os.kill(site.worker_pid(1), signal.SIGKILL)
    server.wait_for_log("Respawned uWSGI worker 1")
    site.write_version("two")
    server.send_signal(signal.SIGHUP)
    site.wait_for_version("two")
    assert server.stop() == 0
    server.assert_nothing_left()


def test_killing_the_new_template_while_it_loads_ends_only_the_reload(
    site: Site,
) -> None:
    server = site.start()
    site.write_code(
        "import os, time\nprint('LOADING in', os.getpid(), flush=True)\n"
        "time.sleep(3600)\n"
    )
    server.send_signal(signal.SIGHUP)
    (match,) = server.wait_for_log(r"LOADING in (\d+)")
    os.kill(int(match[1]), signal.SIGKILL)
    server.wait_for_log("generation 2 failed: its template was killed by signal 9")
    assert site.version() == "one"


def test_killing_the_old_template_and_a_worker_during_a_reload_changes_nothing(
    site: Site,
) -> None:
    server = site.start()
    template = site.template_pid()
    site.write_code(
        "import time\nprint('LOADING', flush=True)\ntime.sleep(1.5)\n"
        + (site.directory / "app.py").read_text().replace('"one"', '"two"')
    )
    with site.load(2) as load:
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("LOADING")
        os.kill(template, signal.SIGKILL)
        site.wait_for_version("two")
    assert load.failures == []
    assert server.stop() == 0
    server.assert_nothing_left()


def test_killing_the_master_during_a_reload_leaves_nothing(site: Site) -> None:
    server = site.start()
    site.write_code("import time\nprint('LOADING', flush=True)\ntime.sleep(3600)\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("LOADING")
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    server.wait_for(lambda: not server.processes(), "ends all processes")


def test_the_template_may_be_killed_twice_in_a_row(site: Site) -> None:
    server = site.start()
    first = site.template_pid()
    os.kill(first, signal.SIGKILL)
    server.wait_for_log("WSGI app 0 .* ready", count=2, timeout=30)
    os.kill(site.template_pid(), signal.SIGKILL)
    server.wait_for_log("WSGI app 0 .* ready", count=3, timeout=30)
    os.kill(site.worker_pid(2), signal.SIGKILL)
    server.wait_for_log("Respawned uWSGI worker 2", timeout=30)
    assert site.version() == "one"


def test_a_chain_reload_replaces_one_worker_after_the_other(site: Site) -> None:
    server = site.start("touch-chain-reload = %d/chain\n")
    site.write_version("two")
    with site.load():
        (site.directory / "chain").touch()
        server.wait_for_log("chain reloading complete", timeout=30)
    assert [line for line in server.log.splitlines() if "victim" in line] == [
        "chain next victim is worker 1",
        "chain next victim is worker 2",
    ]
    assert site.version() == "two"


def test_a_long_request_outlives_the_reload(site: Site) -> None:
    server = site.start()
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(site.get("/slow?3")))
    asking.start()
    time.sleep(0.3)
    site.write_version("two")
    server.send_signal(signal.SIGHUP)
    site.wait_for_version("two")
    asking.join()
    assert answers[0].startswith("one ")


def test_who_does_not_end_within_its_mercy_is_cut(site: Site) -> None:
    server = site.start("worker-reload-mercy = 1\n", workers=1)
    old = site.worker_pid(1)
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(get(site.address, "/slow?30", 20).status)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    server.send_signal(signal.SIGHUP)
    asking.join()
    assert statuses == [503]
    server.wait_for(lambda: not is_alive(old), "ends the old worker")


def test_the_application_may_ask_for_a_reload_and_a_stop(site: Site) -> None:
    server = site.start()
    site.write_version("two")
    site.get("/reload")
    site.wait_for_version("two")
    assert "the application in worker" in server.log
    site.get("/stop")
    assert server.wait() == 0
    server.assert_nothing_left()


def test_exit_on_reload_leaves_it_to_the_supervisor(site: Site) -> None:
    server = site.start("exit-on-reload = true\n")
    server.send_signal(signal.SIGHUP)
    assert server.wait() == 0
    server.assert_nothing_left()


@pytest.mark.parametrize("option", ["touch-reload", "fs-reload"])
def test_a_changed_file_reloads(site: Site, option: str) -> None:
    flag = site.directory / "flag"
    flag.touch()
    server = site.start(f"{option} = {flag}\n")
    site.write_version("two")
    os.utime(flag)
    site.wait_for_version("two")
    assert f"{flag} " in server.log


def test_sources_are_watched_even_after_they_broke(site: Site) -> None:
    server = site.start("py-autoreload = 1\n", workers=1)
    (site.directory / "helper.py").write_text("def broken(:\n")
    code = (site.directory / "app.py").read_text()
    site.write_code("import helper\n" + code.replace('"one"', '"two"'))
    server.wait_for_log("generation 2 failed: ", timeout=20)
    assert site.version() == "one"
    (site.directory / "helper.py").write_text("fixed = True\n")
    site.wait_for_version("two")


@pytest.mark.skipif(sys.platform != "linux", reason="inotify: not on this system")
def test_a_written_source_is_noticed_at_once(site: Site) -> None:
    server = site.start("py-autoreload = 3600\n", workers=1)
    # The first look is soon after the start.
    server.wait_for(lambda: site.version() == "one", "answers")
    site.write_version("two")
    site.wait_for_version("two")
    (site.directory / "app.new").write_text(
        (site.directory / "app.py").read_text().replace("two", "three")
    )
    (site.directory / "app.new").rename(site.directory / "app.py")
    site.wait_for_version("three")


def test_the_new_configuration_takes_effect(site: Site) -> None:
    server = site.start(workers=1)
    other = Path(site.directory / "more.sock")
    site.write_ini(f"http-socket = {other}\n", workers=3)
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("generation 2 is ready and takes over")
    assert get(str(other)).status == 200
    assert site.worker_pid(3)
    site.write_ini(workers=1)
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("generation 3 is ready and takes over")
    server.wait_for(lambda: not other.exists(), "removes the socket")


def test_a_reload_that_is_asked_for_too_early_comes_later(site: Site) -> None:
    site.write_ini("wait-for-file = %d/go\n", workers=1)
    with ServerProcess(["site.ini"], directory=site.directory) as server:
        server.wait_for_log(r"waiting for .*go \(")
        server.send_signal(signal.SIGHUP)
        (site.directory / "go").touch()
        server.wait_for_log("generation 2 is ready and takes over", timeout=30)
        assert site.version() == "one"
        assert server.stop() == 0
