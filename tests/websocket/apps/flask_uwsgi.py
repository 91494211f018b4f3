"""The fork of Flask-uWSGI-WebSocket that still installs, in its gevent way."""

from flask import Flask
from flask_uwsgi_ws import GeventWebSocket

app = Flask(__name__)
sockets = GeventWebSocket(app)


@sockets.route("/echo")
def echo(client):
    while (message := client.receive()) is not None:
        # After each message it reads it gives an empty one.
        if message:
            client.send(message)


@app.route("/page")
def page():
    return "a page"


application = app
