"""The websocket examples on the real server, one of them in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

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

    def hear(client: Any, end: str) -> None:
        while not client.receive(timeout=10)[1]["text"].endswith(end):
            pass

    with socketio.SimpleClient() as ann, socketio.SimpleClient() as bob:
        ann.connect(f"http://{address}")
        bob.connect(f"http://{address}", transports=["websocket"])
        assert ann.receive(timeout=10)[0] == bob.receive(timeout=10)[0] == "hello"
        ann.emit("join", "attic")
        hear(ann, "came in")
        bob.emit("join", "attic")
        hear(bob, "came in")
        hear(ann, "came in")
        bob.emit("say", {"room": "attic", "text": "anybody?"})
        hear(ann, ": anybody?")
    assert "Traceback" not in server.log


# What two windows tell the test, in a file: any worker may take the request.
NOTES = """

import json


@app.route("/note/<window>/<kind>/<text>")
def note(window, kind, text):
    with open("notes", "a") as notes:
        notes.write(json.dumps([window, kind, text]) + "\\n")
    return "noted"


@app.route("/notes")
def notes():
    return Response(open("notes").read(), mimetype="text/plain")


@app.route("/client.js")
def client():
    return Response(open("client.js").read(), mimetype="text/javascript")
"""

# Each window says in which worker it is. The second one connects anew until it is in
# another one than the first (over a websocket, which is always a new connection; the
# browser would keep those for polling). The first one then speaks until it is heard.
TELLING = """
<script>
const me = location.hash.slice(1);
const note = (kind, text) => fetch(`/note/${me}/${kind}/${encodeURIComponent(text)}`);
socket.on("said", (said) => note("heard", said.text));
socket.on("hello", async (hello) => {
  await note("worker", hello.worker);
  const text = await (await fetch("/notes")).text();
  const worker = {};
  for (const [window, kind, what] of text.trim().split("\\n").map(JSON.parse))
    if (kind === "worker") worker[window] = what;
  if (me === "second" && worker.first === worker.second) {
    socket.io.opts.transports = ["websocket"];
    socket.disconnect().connect();
  }
});
if (me === "first") setInterval(() => {
  $("text").value = "hello from another worker";
  $("say").requestSubmit();
}, 300);
</script>
</body>"""


@pytest.mark.timeout(120)
def test_rooms_in_two_windows_of_different_workers(
    geuwsgi_server: StartServer, example: Callable[[str], Path], tmp_path: Path
) -> None:
    pytest.importorskip("flask_socketio")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    npm = shutil.which("npm")
    if browser is None or npm is None:
        pytest.skip("chromium or npm is missing")
    subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--silent", "socket.io-client@4"],
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    port = free_port()
    directory = example("websocket-socketio")
    script = "node_modules/socket.io-client/dist/socket.io.min.js"
    shutil.copy(tmp_path / script, directory / "client.js")
    page = directory / "page.html"
    page.write_text(
        re.sub(r"https://cdn[^\"]*", "/client.js", page.read_text()).replace(
            "</body>", TELLING
        )
    )
    (directory / "notes").touch()
    with (directory / "rooms.py").open("a") as module:
        module.write(NOTES)
    ini = directory / "rooms.ini"
    ini.write_text(ini.read_text().replace("127.0.0.1:8004", f"127.0.0.1:{port}"))
    server = geuwsgi_server("websocket-socketio/rooms.ini")
    server.wait_until_ready(f"127.0.0.1:{port}")

    def wait_until(happened: Callable[[list[tuple[str, str, str]]], bool]) -> None:
        deadline = time.monotonic() + 45
        while True:
            lines = (directory / "notes").read_text().splitlines()
            notes = [tuple(json.loads(line)) for line in lines]
            if happened(notes):
                return
            assert time.monotonic() < deadline, notes
            time.sleep(0.01)

    def has_come(name: str) -> Callable[[list[tuple[str, str, str]]], bool]:
        return lambda notes: any(window == name for window, _, _ in notes)

    def heard_in_another_worker(notes: list[tuple[str, str, str]]) -> bool:
        worker: dict[str, str] = {}
        apart = False
        for window, kind, text in notes:
            if kind == "worker":
                worker[window] = text
            elif text.endswith("from another worker") and window == "second":
                apart = apart or len({*worker.values()}) == 2
        return apart

    with ExitStack() as ending:
        for name in ("first", "second"):
            window = subprocess.Popen(
                [
                    browser,
                    *("--headless=new", "--no-sandbox", "--disable-gpu"),
                    *("--remote-debugging-port=0", "--no-first-run"),
                    f"--user-data-dir={tmp_path / name}",
                    f"http://127.0.0.1:{port}/#{name}",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            ending.callback(window.wait, timeout=10)
            ending.callback(window.terminate)
            wait_until(has_come(name))
        wait_until(heard_in_another_worker)
    assert "Traceback" not in server.log
