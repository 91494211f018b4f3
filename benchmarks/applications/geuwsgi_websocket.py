"""Websocket broadcast with geuwsgi's own object."""

from geuwsgi import websocket

room = set()


def application(environ, start_response):
    ws = websocket.accept(environ)
    room.add(ws)
    try:
        for message in ws:
            websocket.broadcast(room, message)
    finally:
        room.discard(ws)
    return []
