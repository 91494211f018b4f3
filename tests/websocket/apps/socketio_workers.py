"""Flask-SocketIO in several workers, joined by geuwsgi's channels."""

import os

from flask import Flask, request
from flask_socketio import SocketIO, disconnect, emit, join_room, rooms
from uwsgidecorators import mulefunc

from geuwsgi.socketio import ChannelManager

app = Flask(__name__)
socketio = SocketIO(
    app, async_mode=os.environ.get("MODE", "gevent"), client_manager=ChannelManager()
)


@socketio.on("connect")
def connected():
    emit("hello", {"worker": os.getpid(), "sid": request.sid})


@socketio.on("join")
def join(room):
    join_room(room)
    return rooms()


@socketio.on("say")
def say(room, message):
    emit("said", message, to=room)


@socketio.on("ask")
def ask(sid, question):
    asker = request.sid

    def answered(answer):
        socketio.emit("answered", [answer, os.getpid()], to=asker)

    emit("question", question, to=sid, callback=answered)


@socketio.on("throw out")
def throw_out(sid):
    disconnect(sid)


@app.route("/tell")
def tell():
    socketio.emit("told", "everybody")
    return "told"


@mulefunc
def tell_from_mule():
    socketio.emit("told", "by a mule")


@app.route("/tell-from-mule")
def ask_mule():
    tell_from_mule()
    return "asked"


application = app
