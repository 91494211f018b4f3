"""Applications that do what they should not; the healthy part keeps answering."""

from __future__ import annotations

import contextlib
import re
import signal
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, MalformedResponse, get
from tests.faults.conftest import start

LINES = "processes = 1\ngevent = 20\ndisable-logging = true\n"


RAISED = {
    "/system-exit": "SystemExit: 4",
    "/keyboard-interrupt": "KeyboardInterrupt",
    "/greenlet-exit": "GreenletExit",
    "/base-exception": "BaseException: base",
    "/generator-exit": "GeneratorExit",
    "/timeout": "Timeout: 1 second",
    "/recurse": "RecursionError",
}


def test_what_an_application_raises_ends_its_request_only(apps: Path) -> None:
    server, address = start(apps, LINES, module="faulty:application")
    with server, Client(address) as other:
        pid = get(address, "/pid").text
        for path, told in RAISED.items():
            assert get(address, path).status == 500
            server.wait_for_log(re.escape(told))
            other.send(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n")
            assert other.read_response().text == pid
        for path in ("/late", "/late-exit"):
            # An answer that breaks off has to look broken.
            with Client(address) as client:
                client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                with contextlib.suppress(ConnectionResetError):
                    assert not client.read_response().complete
        assert get(address, "/pid").text == pid


STAYS_IN_ITS_PROCESS = (
    *("/close-stdout", "/close-stderr", "/drop-streams", "/change-directory", "/fork"),
    *("/change-umask", "/change-locale", "/clear-environment", "/start-threads"),
    *("/trace", "/disable-gc", "/patch-back", "/block-signals", "/change-limits"),
    "/change-user",
)


def test_what_an_application_does_to_its_process_stays_there(apps: Path) -> None:
    server, address = start(
        apps,
        LINES.replace("disable-logging", "memory-report"),
        module="faulty:application",
    )
    with server:
        pid = get(address, "/pid").text
        for path in STAYS_IN_ITS_PROCESS:
            assert get(address, path).body == b"done", path
            assert get(address, "/pid").text == pid
        assert get(address, "/block").body == b"done"
        assert get(address, "/system-exit").status == 500
        assert get(address, "/pid").text == pid
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("spawned uWSGI worker 1", count=2)
        server.wait_for(lambda: get(address, "/pid").text != pid, "has a new worker")
        assert server.stop(signal.SIGTERM) == 0
        server.assert_nothing_left()


ENDS_ITS_PROCESS = ("/exit", "/kill-self", "/close-everything", "/execute")


def test_a_worker_that_ends_is_replaced_and_siblings_answer(apps: Path) -> None:
    server, address = start(
        apps, LINES.replace("= 1", "= 2", 1), module="faulty:application"
    )
    with server:
        server.wait_for_log("spawned uWSGI worker 2")
        for count, path in enumerate(ENDS_ITS_PROCESS, 3):
            with pytest.raises((MalformedResponse, ConnectionError)):
                get(address, path)
            for _ in range(20):
                assert get(address).body == b"done"
            server.wait_for_log("spawned uWSGI worker [12]", count=count)
        assert server.stop(signal.SIGTERM) == 0
        server.assert_nothing_left()


ELSEWHERE = {
    "/exit-elsewhere": "SystemExit",
    "/interrupt-elsewhere": "KeyboardInterrupt",
    "/raise-elsewhere": "SystemError",
    "/raise-in-a-handler": "RuntimeError",
}


def test_what_is_raised_outside_of_requests_costs_none_of_them(apps: Path) -> None:
    server, address = start(apps, LINES, module="faulty:application")
    with server:
        for count, (path, told) in enumerate(ELSEWHERE.items(), 2):
            pid = get(address, "/pid").text
            with Client(address) as other:
                other.send(b"GET /sleep?0.3 HTTP/1.1\r\nHost: a\r\n\r\n")
                assert get(address, path).body == b"done"
                server.wait_for_log(f"is due for {told} outside of any request")
                assert other.read_response().body == b"done"
            server.wait_for_log("spawned uWSGI worker 1", count=count)
            server.wait_for(
                lambda pid=pid: get(address, "/pid").text != pid,  # type: ignore[misc]
                "has a new worker",
            )
        assert server.stop(signal.SIGTERM) == 0
        server.assert_nothing_left()


def test_signal_handlers_of_the_application_do_not_keep_the_server(apps: Path) -> None:
    server, address = start(apps, LINES, module="faulty:application")
    with server:
        assert get(address, "/change-signals").body == b"done"
        assert get(address).body == b"done"
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("spawned uWSGI worker 1", count=2)
        assert get(address).body == b"done"
        assert server.stop(signal.SIGTERM) == 0
        server.assert_nothing_left()


def test_a_child_that_goes_on_as_the_worker_does_not_outlive_it(apps: Path) -> None:
    server, address = start(apps, LINES, module="faulty:application")
    with server:
        get(address, "/fork-and-stay")
        for _ in range(5):
            assert get(address).body == b"done"
        server.stop(signal.SIGTERM)
        server.assert_nothing_left()


def test_a_worker_whose_descriptors_leaked_is_replaced(apps: Path) -> None:
    server, address = start(apps, LINES + "max-fd = 100\n", module="faulty:application")
    with server, Client(address) as client:
        client.send(b"GET /leak HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        assert client.read_response().status == 500
        # It waits in the backlog, for the successor.
        assert get(address).body == b"done"
        server.wait_for_log("cannot accept connections: Too many open files")
        server.wait_for_log("due for the application has used up the descriptors")
