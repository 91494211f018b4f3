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


def test_what_an_application_does_to_its_process_stays_there(apps: Path) -> None:
    server, address = start(
        apps,
        LINES.replace("disable-logging", "memory-report"),
        module="faulty:application",
    )
    with server:
        pid = get(address, "/pid").text
        for path in ("/close-stdout", "/close-stderr", "/change-directory", "/fork"):
            assert get(address, path).body == b"done"
            assert get(address, "/pid").text == pid
        assert get(address, "/block").body == b"done"
        assert get(address, "/system-exit").status == 500
        assert get(address, "/pid").text == pid
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("spawned uWSGI worker 1", count=2)
        server.wait_for(lambda: get(address, "/pid").text != pid, "has a new worker")
        assert server.stop(signal.SIGTERM) == 0
        server.assert_nothing_left()


@pytest.mark.parametrize("path", ["/exit", "/kill-self"])
def test_a_worker_that_ends_is_replaced_and_siblings_answer(
    apps: Path, path: str
) -> None:
    server, address = start(
        apps, LINES.replace("= 1", "= 2", 1), module="faulty:application"
    )
    with server:
        server.wait_for_log("spawned uWSGI worker 2")
        with pytest.raises((MalformedResponse, ConnectionError)):
            get(address, path)
        for _ in range(20):
            assert get(address).body == b"done"
        server.wait_for_log("spawned uWSGI worker [12]", count=3)
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


def test_descriptors_that_leak_are_told_and_the_server_recovers(apps: Path) -> None:
    server, address = start(apps, LINES + "max-fd = 100\n", module="faulty:application")
    with server, Client(address) as client:
        client.send(b"GET /leak HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        assert client.read_response().status == 500
        with Client(address) as waiting:
            waiting.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            server.wait_for_log("cannot accept connections: Too many open files")
