"""The websocket examples on the real server, one of them in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import websocket

from geuwsgi.testing.client import free_port, get
from geuwsgi.testing.fixtures import StartServer

pytestmark = pytest.mark.e2e


def test_talk_passes_messages_on(
    geuwsgi_server: StartServer, example: Callable[[str], Path]
) -> None:
    pytest.importorskip("flask_sock")
    address = f"127.0.0.1:{free_port()}"
    ini = example("websocket-flask-sock") / "talk.ini"
    ini.write_text(ini.read_text().replace("127.0.0.1:8003", address))
    server = geuwsgi_server(f"{ini.parent.name}/talk.ini")
    server.wait_until_ready(address)
    assert b"<title>Talk</title>" in get(address).body
    ann = websocket.create_connection(f"ws://{address}/talk", timeout=10)
    assert json.loads(ann.recv()) == {"count": 1}
    bob = websocket.create_connection(f"ws://{address}/talk", timeout=10)
    assert json.loads(ann.recv()) == json.loads(bob.recv()) == {"count": 2}
    for nonsense in (
        "",
        "[]",
        '{"name": 1, "text": "x"}',
        '{"name": "a", "text": " "}',
    ):
        ann.send(nonsense)
    ann.send(json.dumps({"name": "Ann", "text": "hello"}))
    assert json.loads(bob.recv()) == {"name": "Ann", "text": "hello"}
    ann.close()
    assert json.loads(bob.recv()) == {"count": 1}
    bob.close()
    assert "Traceback" not in server.log


WHEN_SAID = """

import gevent
from gevent.event import Event

said = Event()
Room.tell_all = Room.say


def say(self, message):
    self.tell_all(message)
    if "text" in message:
        said.set()


Room.say = say


@app.route("/when-said")
def when_said():
    said.wait(10)
    gevent.sleep(0.3)
    return ""
"""


@pytest.mark.timeout(60)
def test_talk_in_a_browser(
    geuwsgi_server: StartServer, example: Callable[[str], Path], tmp_path: Path
) -> None:
    pytest.importorskip("flask_sock")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("chromium is missing")
    address = f"127.0.0.1:{free_port()}"
    ini = example("websocket-flask-sock") / "talk.ini"
    ini.write_text(ini.read_text().replace("127.0.0.1:8003", address))
    page = ini.with_name("page.html")
    # The visitor says something as soon as the connection is there. The browser
    # shows what it has when the page is complete: when it was said.
    page.write_text(
        page.read_text()
        .replace(
            "socket.onopen = () => { tries = 0; };",
            "socket.onopen = () => { $('text').value = 'said by a browser';"
            " $('say').requestSubmit(); };",
        )
        .replace("<ol id", '<img src="/when-said" alt=""><ol id')
    )
    with ini.with_name("talk.py").open("a") as module:
        module.write(WHEN_SAID)
    server = geuwsgi_server(f"{ini.parent.name}/talk.ini")
    server.wait_until_ready(address)
    shown = subprocess.run(
        [
            browser,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            f"http://{address}/",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    ).stdout
    assert "said by a browser</li>" in shown, shown[-2000:]
    assert "you are alone" in shown


def test_rooms_over_socketio(
    geuwsgi_server: StartServer, example: Callable[[str], Path]
) -> None:
    pytest.importorskip("flask_socketio")
    socketio = pytest.importorskip("socketio")
    address = f"127.0.0.1:{free_port()}"
    ini = example("websocket-socketio") / "rooms.ini"
    ini.write_text(ini.read_text().replace("127.0.0.1:8004", address))
    server = geuwsgi_server(f"{ini.parent.name}/rooms.ini")
    server.wait_until_ready(address)
    assert b"<title>Rooms</title>" in get(address).body
    with socketio.SimpleClient() as ann, socketio.SimpleClient() as bob:
        ann.connect(f"http://{address}")
        bob.connect(f"http://{address}", transports=["websocket"])
        assert ann.receive(timeout=10)[0] == bob.receive(timeout=10)[0] == "hello"
        ann.emit("join", "attic")
        assert ann.receive(timeout=10)[1]["text"].endswith("came in")
        bob.emit("join", "attic")
        assert bob.receive(timeout=10)[1]["text"].endswith("came in")
        assert ann.receive(timeout=10)[1]["room"] == "attic"
        bob.emit("say", {"room": "attic", "text": "anybody?"})
        assert ann.receive(timeout=10)[1]["text"].endswith(": anybody?")
    assert "Traceback" not in server.log
