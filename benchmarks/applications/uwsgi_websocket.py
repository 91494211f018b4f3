"""Websocket echo and broadcast with the functions of the `uwsgi` module."""

import contextlib

import gevent
import uwsgi
from gevent.event import Event
from gevent.queue import Queue
from gevent.select import select

room = set()


def echo(environ):
    while True:
        uwsgi.websocket_send(uwsgi.websocket_recv())


def broadcast(environ):
    # The pattern of uWSGI's manual: one greenlet says that the socket is readable,
    # a queue holds what others said, and the request's greenlet waits for either.
    descriptor = uwsgi.connection_fd()
    happened = Event()
    queue = Queue()

    def listen():
        while True:
            select([descriptor], [], [])
            happened.set()
            gevent.sleep(0)

    listener = gevent.spawn(listen)
    member = (queue, happened)
    room.add(member)
    try:
        while True:
            happened.wait()
            happened.clear()
            while message := uwsgi.websocket_recv_nb():
                for other, other_happened in room:
                    other.put(message)
                    other_happened.set()
            while not queue.empty():
                uwsgi.websocket_send(queue.get())
    finally:
        room.discard(member)
        listener.kill()


def application(environ, start_response):
    uwsgi.websocket_handshake()
    with contextlib.suppress(OSError):
        (broadcast if environ["PATH_INFO"] == "/broadcast" else echo)(environ)
    return []
