"""The processes of a server, when it is told to stop and when one of them is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, MalformedResponse, free_port, get
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.process import ServerProcess

INI = """\
[uwsgi]
http-socket = 127.0.0.1:{port}
http-socket = %d/site.sock
master = true
processes = 2
gevent = 50
module = pages:application
pidfile = %d/site.pid
vacuum = true
"""

Start = Callable[..., tuple[ServerProcess, str]]


@pytest.fixture
def start(geuwsgi_server: StartServer, site_directory: Path) -> Start:
    """Start the two-worker site, wait until both workers are up."""

    def start(more: str = "", workers: int = 2) -> tuple[ServerProcess, str]:
        port = free_port()
        ini = site_directory / "site.ini"
        ini.write_text(INI.format(port=port) + more)
        server = geuwsgi_server("--ini", "site.ini", directory=site_directory)
        server.wait_for_log(r"spawned uWSGI worker \d+ \(pid: \d+", count=workers)
        address = f"127.0.0.1:{port}"
        server.wait_until_ready(address)
        assert get(address).status == 200
        return server, address

    return start


def worker_pids(server: ServerProcess) -> list[int]:
    matches = server.wait_for_log(r"spawned uWSGI worker \d+ \(pid: (\d+)", count=2)
    return [int(match[1]) for match in matches]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_a_server_that_is_told_to_stop_leaves_nothing(
    start: Start, number: signal.Signals
) -> None:
    server, _ = start()
    assert (server.directory / "site.pid").read_text().strip() == str(server.pid)
    assert server.stop(number) == 0
    server.assert_nothing_left()


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_a_terminal_ends_it_without_noise(start: Start, times: int) -> None:
    server, _ = start()
    for _ in range(times):
        # The terminal sends it to every process in the foreground.
        os.killpg(server.pid, signal.SIGINT)
    assert server.wait(timeout=10) == 0
    server.assert_nothing_left()
    assert "Traceback" not in server.log
    assert "KeyboardInterrupt" not in server.log


def test_without_a_master_one_process_serves_and_ends(
    geuwsgi_server: StartServer, site_directory: Path
) -> None:
    port = free_port()
    (site_directory / "site.ini").write_text(
        f"[uwsgi]\nhttp-socket = 127.0.0.1:{port}\ngevent = 10\nmodule = pages\n"
    )
    server = geuwsgi_server("--ini", "site.ini", directory=site_directory)
    server.wait_until_ready(f"127.0.0.1:{port}")
    assert get(f"127.0.0.1:{port}", "/pid").text == str(server.pid)
    assert list(server.processes()) == [server.pid]
    server.stop(signal.SIGTERM)
    server.assert_nothing_left()


def test_a_request_in_flight_is_answered_before_the_server_ends(start: Start) -> None:
    server, address = start()
    with Client(address) as client:
        client.send(b"GET /wait?sleep HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.05)
        server.send_signal(signal.SIGTERM)
        response = client.read_response()
        assert response.body == b"'slept'"
        assert client.is_closed()
    assert server.wait() == 0
    server.assert_nothing_left()


def test_an_idle_connection_does_not_keep_the_server_alive(start: Start) -> None:
    server, address = start()
    with Client(address) as client:
        assert client.request("/").status == 200
        assert server.stop(signal.SIGTERM, timeout=5) == 0
        assert client.is_closed()
    server.assert_nothing_left()


def test_a_killed_worker_is_replaced(start: Start) -> None:
    server, address = start()
    victim = int(get(address, "/pid").text)
    os.kill(victim, signal.SIGKILL)
    server.wait_for_log(
        rf"DAMN ! worker \d+ \(pid: {victim}\) died, killed by signal 9"
    )
    server.wait_for_log(r"Respawned uWSGI worker \d+ \(new pid: \d+\)")
    for _ in range(20):
        assert int(get(address, "/pid").text) != victim
    assert server.stop() == 0
    server.assert_nothing_left()


def test_every_worker_killed_at_once_is_replaced(start: Start) -> None:
    server, address = start()
    victims = worker_pids(server)
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    server.wait_for_log(r"Respawned uWSGI worker", count=2, timeout=20)
    assert int(get(address, "/pid").text) not in victims
    assert server.stop() == 0
    server.assert_nothing_left()


@pytest.mark.parametrize("more", ["", "no-orphans = true\n"])
def test_a_killed_master_takes_everything_with_it(start: Start, more: str) -> None:
    server, address = start(more)
    os.kill(server.pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    server.wait_for(lambda: not server.processes(), "ends its orphans", timeout=10)
    with pytest.raises(OSError):
        get(address)


def test_each_process_but_the_master_may_be_killed(start: Start) -> None:
    """Whatever dies, the site goes on and ends cleanly."""
    server, address = start()
    for pid in sorted(set(server.processes()) - {server.pid}, reverse=True):
        os.kill(pid, signal.SIGKILL)
        server.wait_for(lambda: answers(address), f"answers without {pid}", timeout=20)
    assert server.stop(timeout=20) == 0
    server.assert_nothing_left()


def answers(address: str) -> bool:
    try:
        return get(address, timeout=5).status == 200
    except (OSError, MalformedResponse):
        return False


def test_a_reload_loses_no_request(start: Start) -> None:
    server, address = start()
    before = set(worker_pids(server))
    answered: list[int] = []
    failed: list[Exception] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                answered.append(int(get(address, "/pid").text))
            except (OSError, MalformedResponse, ValueError) as error:
                failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        server.send_signal(signal.SIGHUP)
        server.wait_for(
            lambda: bool(answered) and answered[-1] not in before,
            "answers from a new worker",
        )
        server.wait_for(
            lambda: not before & set(server.processes()), "ends the old workers"
        )
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert server.stop() == 0
    server.assert_nothing_left()


def test_a_reload_finishes_the_requests_of_the_old_workers(start: Start) -> None:
    server, address = start()
    before = set(worker_pids(server))
    with Client(address) as client:
        client.send(b"GET /wait?sleep HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.05)
        server.send_signal(signal.SIGHUP)
        assert client.read_response().body == b"'slept'"
    server.wait_for(
        lambda: not before & set(server.processes()), "ends the old workers"
    )
    assert get(address).status == 200


def test_a_reload_into_a_broken_application_keeps_the_old_one(start: Start) -> None:
    server, address = start()
    before = set(worker_pids(server))
    pages = server.directory / "pages.py"
    good = pages.read_text()
    pages.write_text("def broken(:\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("SyntaxError")
    for _ in range(20):
        assert int(get(address, "/pid").text) in before
    assert server.is_running()
    pages.write_text(good)
    server.send_signal(signal.SIGHUP)
    server.wait_for(
        lambda: not before & set(server.processes()), "ends the old workers"
    )
    assert get(address).status == 200
    assert server.stop() == 0
    server.assert_nothing_left()


def test_a_reload_of_new_code_serves_the_new_code(start: Start) -> None:
    server, address = start()
    pages = server.directory / "pages.py"
    pages.write_text(pages.read_text().replace('b"hello"', 'b"hello again"'))
    server.send_signal(signal.SIGHUP)
    server.wait_for(lambda: get(address).body == b"hello again", "serves new code")


def test_touching_a_file_reloads(start: Start) -> None:
    server, address = start("touch-reload = %d/touched\n")
    before = set(worker_pids(server))
    time.sleep(0.05)
    (server.directory / "touched").touch()
    server.wait_for(
        lambda: not before & set(server.processes()), "ends the old workers"
    )
    assert get(address).status == 200


def test_a_worker_ends_after_its_requests_and_another_takes_over(start: Start) -> None:
    server, address = start("max-requests = 10\nmin-worker-lifetime = 0\n")
    before = set(worker_pids(server))

    def first_workers_end() -> bool:
        # Connections side by side, for one after the other may all go to one worker.
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(address)) for _ in range(4)]
            for client in clients:
                assert client.request("/").status == 200
        return not before & set(server.processes())

    server.wait_for(first_workers_end, "ends the first workers")
    assert get(address).status == 200
    assert server.stop() == 0
    server.assert_nothing_left()


def test_lazy_applications_are_loaded_in_every_worker(start: Start) -> None:
    server, address = start("lazy-apps = true\n")
    server.wait_for_log(r"WSGI app 0 \(mountpoint=''\) ready in", count=2)
    assert get(address).status == 200


def test_a_daemon_lets_go_of_its_starter_and_logs_to_its_file(
    geuwsgi_server: StartServer, site_directory: Path
) -> None:
    port = free_port()
    ini = INI.format(port=port) + "daemonize = %d/daemon.log\n"
    (site_directory / "site.ini").write_text(ini)
    server = geuwsgi_server("--ini", "site.ini", directory=site_directory)
    assert server.wait() == 0
    address = f"127.0.0.1:{port}"
    server.wait_for(lambda: answers(address), "serves as a daemon")
    pid = int((site_directory / "site.pid").read_text())
    assert pid in server.processes()
    log = site_directory / "daemon.log"
    server.wait_for(lambda: "GET / =>" in log.read_text(), "logs to its file")
    os.kill(pid, signal.SIGINT)
    server.wait_for(lambda: not server.processes(), "ends")
    assert server.left_files() == ["daemon.log"]
