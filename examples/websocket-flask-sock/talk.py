"""A chat in Flask over websockets, with flask-sock: nothing of it knows the server.

Start it with ``geuwsgi talk.ini`` and open the page in two windows. Needs
``pip install flask flask-sock``.
"""

from __future__ import annotations

import json
from pathlib import Path

from flask import Flask, Response
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server

PAGE = Path(__file__).with_name("page.html").read_text()
LONGEST_MESSAGE = 2000

app = Flask(__name__)
app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 25, "max_message_size": 8192}
sock = Sock(app)


class Room:
    """Everybody who has the page open."""

    def __init__(self) -> None:
        self._present: set[Server] = set()

    def enter(self, visitor: Server) -> None:
        self._present.add(visitor)
        self.say({"count": len(self._present)})

    def leave(self, visitor: Server) -> None:
        self._present.discard(visitor)
        self.say({"count": len(self._present)})

    def say(self, message: dict[str, object]) -> None:
        text = json.dumps(message)
        for visitor in list(self._present):
            try:
                visitor.send(text)
            except (ConnectionClosed, OSError):
                # Its own greenlet will find out and leave.
                continue


room = Room()


def parse_message(text: str | bytes) -> dict[str, object] | None:
    """Return name and text of a message, None if it is not one."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    name, said = message.get("name"), message.get("text")
    if not isinstance(name, str) or not isinstance(said, str) or not said.strip():
        return None
    return {"name": name[:40], "text": said[:LONGEST_MESSAGE]}


@app.route("/")
def page() -> Response:
    return Response(PAGE, mimetype="text/html")


@sock.route("/talk")
def talk(visitor: Server) -> None:
    room.enter(visitor)
    try:
        while True:
            message = parse_message(visitor.receive())
            if message is not None:
                room.say(message)
    finally:
        room.leave(visitor)
