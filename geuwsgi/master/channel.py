"""The master's end of a control channel: never blocks, whoever hangs at the other."""

from __future__ import annotations

import socket

from geuwsgi.worker.messages import Decoder, Kind, Message, encode

# What a process that does not read may leave unsent before it counts as lost.
MAX_UNSENT = 4 * 1024 * 1024
_RECEIVE = 65536


class ChannelClosed(Exception):
    """The process at the other end is gone, or does not read."""


class Channel:
    """One connection to a template or a member."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._decoder = Decoder()
        self._unsent = bytearray()

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """The master's end, and the plain socket for the other process."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    def fileno(self) -> int:
        return self._connection.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether ``flush`` must be called when the descriptor is writable."""
        return bool(self._unsent)

    def send(self, kind: Kind, body: bytes = b"", /, **fields: object) -> None:
        """Send one message, now or as soon as the other end reads.

        Raises :exc:`ChannelClosed`.
        """
        if len(self._unsent) > MAX_UNSENT:
            raise ChannelClosed("the process does not read its messages")
        self._unsent += encode(kind, body, **fields)
        self.flush()

    def flush(self) -> None:
        """Send what is waiting. Raises :exc:`ChannelClosed`."""
        try:
            while self._unsent:
                sent = self._connection.send(self._unsent)
                del self._unsent[:sent]
        except BlockingIOError:
            return
        except OSError as exc:
            raise ChannelClosed("the process has closed its channel") from exc

    def send_with_descriptor(
        self, fileno: int, kind: Kind, /, **fields: object
    ) -> None:
        """Send one message together with a descriptor.

        Raises :exc:`ChannelClosed` also if it cannot be sent at once.
        """
        frame = encode(kind, **fields)
        try:
            sent = socket.send_fds(self._connection, [frame], [fileno])
        except OSError as exc:
            raise ChannelClosed("the process does not take orders") from exc
        if sent != len(frame):
            raise ChannelClosed("the process does not take orders")

    def receive(self) -> tuple[list[Message], bool]:
        """The messages that came, and whether the stream has ended.

        Raises :exc:`~geuwsgi.worker.messages.ChannelError` for what is no message.
        """
        messages: list[Message] = []
        while True:
            try:
                received = self._connection.recv(_RECEIVE)
            except BlockingIOError:
                return messages, False
            except OSError:
                return messages, True
            if not received:
                return messages, True
            messages += self._decoder.feed(received)

    def close(self) -> None:
        self._connection.close()
