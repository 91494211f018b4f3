"""Flask-SocketIO: rooms, broadcast and background tasks, in the mode of MODE."""

import os

from flask import Flask, request
from flask_socketio import SocketIO, emit, join_room

app = Flask(__name__)
socketio = SocketIO(app, async_mode=os.environ["MODE"], cors_allowed_origins="*")


@socketio.on("connect")
def connected():
    emit("hello", {"mode": socketio.async_mode, "transport": transport()})


def transport():
    return request.environ.get("QUERY_STRING", "")


@socketio.on("join")
def join(room):
    join_room(room)
    emit("joined", room, to=room)
    return len(room)


@socketio.on("say")
def say(message):
    emit("said", message, broadcast=True)


@socketio.on("binary")
def binary(data):
    return data[::-1]


@socketio.on("later")
def later(message):
    sid = request.sid

    def task():
        socketio.sleep(0.01)
        socketio.emit("said", message, to=sid)

    socketio.start_background_task(task)


@app.route("/page")
def page():
    return "a page"


application = app
