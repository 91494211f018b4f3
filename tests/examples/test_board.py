"""The drawing board on the real server, over real websockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import websocket

from geuwsgi.testing.client import free_port, get
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.process import ServerProcess

pytestmark = pytest.mark.e2e

Open = Callable[[], websocket.WebSocket]


@pytest.fixture
def running(
    geuwsgi_server: StartServer, example: Callable[[str], Path]
) -> tuple[ServerProcess, str]:
    address = f"127.0.0.1:{free_port()}"
    ini = example("board") / "board.ini"
    ini.write_text(ini.read_text().replace("127.0.0.1:8002", address))
    server = geuwsgi_server("board/board.ini")
    server.wait_until_ready(address)
    return server, address


@pytest.fixture
def window(running: tuple[ServerProcess, str]) -> Iterator[Open]:
    opened = []

    def open_window() -> websocket.WebSocket:
        opened.append(websocket.create_connection(f"ws://{running[1]}/", timeout=10))
        return opened[-1]

    yield open_window
    for one in opened:
        one.close()


RED = [0.1, 0.2, 0.3, 0.4, "red"]


def test_a_line_is_seen_in_every_window(window: Open) -> None:
    ann, bob = window(), window()
    ann.send(json.dumps(RED))
    assert json.loads(ann.recv()) == json.loads(bob.recv()) == RED


def test_a_window_opened_later_is_told_what_was_drawn(window: Open) -> None:
    ann = window()
    ann.send(json.dumps(RED))
    ann.recv()
    assert json.loads(window().recv()) == RED


def test_what_is_no_line_is_not_passed_on(window: Open) -> None:
    ann, bob = window(), window()
    for nonsense in ("", "{", "[]", "[0, 0, 0, 2, 1]", '[0, 0, 0, 2, "red"]'):
        ann.send(nonsense)
    ann.send_binary(b"\xff\xfe")
    ann.send(json.dumps(RED))
    assert json.loads(bob.recv()) == RED


def test_a_window_that_leaves_is_forgotten(
    window: Open, running: tuple[ServerProcess, str]
) -> None:
    ann, bob = window(), window()
    ann.close()
    bob.send(json.dumps(RED))
    assert json.loads(bob.recv()) == RED
    server, address = running
    assert b"<canvas>" in get(address).body
    assert "Traceback" not in server.log


def test_the_windows_are_told_when_the_server_ends(
    window: Open, running: tuple[ServerProcess, str]
) -> None:
    ann = window()
    server, _ = running
    assert server.stop() == 0
    opcode, octets = ann.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    assert int.from_bytes(octets[:2], "big") in (1001, 1012)
    server.assert_nothing_left()
