"""Libraries that bring websockets to Flask and WSGI, side by side."""

from flask import Flask
from flask_sock import Sock
from werkzeug.routing import Map, Rule

app = Flask(__name__)
sock = Sock(app)


@app.route("/page")
def page():
    return "a page"


@sock.route("/flask-sock")
def flask_sock(ws):
    while True:
        ws.send(ws.receive())


@sock.route("/flask-sock-returns")
def flask_sock_returns(ws):
    ws.send("bye")


class SocketMiddleware:
    """What flask-sockets does: routes of its own in front of the application."""

    def __init__(self, wsgi_app):
        self._wsgi_app = wsgi_app
        self._map = Map([Rule("/flask-sockets", endpoint=self._echo, websocket=True)])

    def __call__(self, environ, start_response):
        try:
            handler, _ = self._map.bind_to_environ(environ).match()
            handler(environ["wsgi.websocket"])
            return []
        except Exception as error:
            if type(error).__name__ not in ("NotFound", "KeyError"):
                raise
            return self._wsgi_app(environ, start_response)

    @staticmethod
    def _echo(ws):
        while not ws.closed:
            message = ws.receive()
            if message is not None:
                ws.send(message)


app.wsgi_app = SocketMiddleware(app.wsgi_app)
application = app
