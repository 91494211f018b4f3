"""A worker's end of its control channel.

Any greenlet may send; one greenlet reads (:meth:`Control.run`) and calls the handler
registered for the kind of each message. The end of the stream means that the master is
gone.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from typing import Any

import gevent.event
import gevent.lock
import gevent.socket

from geuwsgi.worker.messages import ChannelError, Decoder, Kind, Message, encode

Handler = Callable[[Message], None]

_RECEIVE = 65536


class MasterGone(Exception):
    """The master's end of the channel is closed."""


class Control:
    """One process's connection to the master.

    ``connection`` is a plain (not gevent's) connected stream socket; the channel owns
    it from now on.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._sending = gevent.lock.Semaphore(1)
        self._handlers: dict[Kind, Handler] = {Kind.REPLY: self._replied}
        self._calls: dict[int, gevent.event.AsyncResult[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)

    def on(self, kind: Kind, handler: Handler) -> None:
        """Have ``handler`` called for messages of ``kind``. It must not block long."""
        self._handlers[kind] = handler

    def send(self, kind: Kind, body: bytes = b"", /, **fields: object) -> None:
        """Send one message; blocks the greenlet while the master does not read.

        Raises :exc:`MasterGone`.
        """
        rest = memoryview(encode(kind, body, **fields))
        with self._sending:
            while rest:
                try:
                    rest = rest[self._connection.send(rest) :]
                except BlockingIOError:
                    gevent.socket.wait_write(self._connection.fileno())
                except OSError as exc:
                    raise MasterGone("the master has closed the channel") from exc

    def call(self, name: str, timeout_s: float, **fields: object) -> dict[str, Any]:
        """Ask the master something and wait for the reply.

        Raises :exc:`MasterGone`, or :exc:`TimeoutError` if no reply comes in time.
        """
        number = next(self._numbers)
        reply: gevent.event.AsyncResult[dict[str, Any]] = gevent.event.AsyncResult()
        self._calls[number] = reply
        try:
            self.send(Kind.CALL, call=number, name=name, **fields)
            if not reply.wait(timeout=timeout_s) and not reply.ready():
                raise TimeoutError(f"no reply from the master to {name!r}")
            return dict(reply.value or {})
        finally:
            del self._calls[number]

    def run(self) -> None:
        """Read messages and call their handlers until the master is gone."""
        decoder = Decoder()
        while True:
            try:
                received = self._connection.recv(_RECEIVE)
            except BlockingIOError:
                gevent.socket.wait_read(self._connection.fileno())
                continue
            except OSError:
                return
            if not received:
                return
            for message in decoder.feed(received):
                handler = self._handlers.get(message.kind)
                if handler is None:
                    raise ChannelError(f"nobody handles {message.kind.name} here")
                handler(message)

    def fileno(self) -> int:
        return self._connection.fileno()

    def close(self) -> None:
        self._connection.close()

    def _replied(self, message: Message) -> None:
        fields = message.fields()
        waiting = self._calls.get(fields.pop("call"))
        if waiting is not None:
            waiting.set(fields)
