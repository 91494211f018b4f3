"""Flask-SocketIO with rooms, in four workers: polling first, then a websocket.

Start it with ``geuwsgi rooms.ini`` and open the page in two windows: it says in which
worker each of them is, and what is said in one is heard in all. Needs ``pip install
flask-socketio``.

``ChannelManager`` carries what one worker emits to the others, in memory. For workers
on several machines add ``channels = redis://host:6379/0`` to the configuration.

The mode ``gevent_uwsgi`` uses uWSGI's functions. geuwsgi has ``request_context``, which
makes Flask-SocketIO send and receive directly: no queue, no waking every three seconds.
"""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, Response, request
from flask_socketio import SocketIO, emit, join_room, leave_room

from geuwsgi.socketio import ChannelManager

PAGE = Path(__file__).with_name("page.html").read_text()

app = Flask(__name__)
socketio = SocketIO(app, async_mode="gevent_uwsgi", client_manager=ChannelManager())


@app.route("/")
def page() -> Response:
    return Response(PAGE, mimetype="text/html")


@socketio.on("connect")
def connected() -> None:
    emit("hello", {"worker": os.getpid()})


@socketio.on("join")
def join(room: str) -> None:
    join_room(room)
    emit("said", {"room": room, "text": f"{request.sid[:4]} came in"}, to=room)


@socketio.on("leave")
def leave(room: str) -> None:
    leave_room(room)
    emit("said", {"room": room, "text": f"{request.sid[:4]} went"}, to=room)


@socketio.on("say")
def say(message: dict[str, str]) -> None:
    room, text = str(message.get("room")), str(message.get("text"))
    text = f"{request.sid[:4]}: {text[:500]}"
    emit("said", {"room": room, "text": text}, to=room)
