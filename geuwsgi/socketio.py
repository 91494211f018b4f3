"""Socket.IO over all workers, without a message queue beside the server.

    from flask_socketio import SocketIO
    from geuwsgi.socketio import ChannelManager

    socketio = SocketIO(app, client_manager=ChannelManager())

What one worker emits then reaches the clients of every worker, mules and spoolers may
emit, and rooms, callbacks and ``disconnect`` work wherever the client is. It goes
through ``geuwsgi.channel``: in memory on one machine, and through a Redis server to
every machine that names the same one with ``channels = redis://…``.

Needs python-socketio (``pip install flask-socketio`` brings it), and ``sticky =
query:sid``, as the requests of one session must meet in one worker.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Final

from socketio import PubSubManager

import geuwsgi
from geuwsgi.background.channels import LARGEST_MESSAGE

__all__ = ["ChannelManager"]

# In front of each piece of a message: whose it is, the piece's number, their count.
_ID_BYTES: Final = 16
_HEAD_BYTES: Final = _ID_BYTES + 2 + 2
_PIECE_BYTES: Final = LARGEST_MESSAGE - _HEAD_BYTES
#: Messages of which some pieces are there; older ones will never be whole.
_MOST_INCOMPLETE: Final = 64
#: Messages that wait to be handled before the oldest are lost.
_BACKLOG: Final = 10_000


class ChannelManager(PubSubManager):  # type: ignore[misc]
    """A client manager for ``socketio.Server`` and Flask-SocketIO's ``client_manager``.

    ``channel`` is the name of the channel: one for each Socket.IO server of the site.
    It may be made where the application is imported, before the workers are forked.
    """

    name = "geuwsgi"

    def __init__(self, channel: str = "socketio", **arguments: Any) -> None:
        super().__init__(channel=channel, **arguments)
        self._subscription: Any = None

    def initialize(self) -> None:
        """Begin to hear the others. python-socketio calls it in each worker."""
        # The one of the base class is that of the process which was forked: a worker
        # would take the messages of all the others for its own.
        self.host_id = uuid.uuid4().hex
        if not self.write_only:
            # Not only when the listening greenlet runs: nothing may be missed.
            self._subscription = geuwsgi.channel(self.channel).subscribe(limit=_BACKLOG)
        super().initialize()

    def _publish(self, message: dict[str, Any]) -> None:
        channel = geuwsgi.channel(self.channel)
        text: str | bytes = self.json.dumps(message)
        for piece in split(text.encode() if isinstance(text, str) else text):
            channel.publish(piece)

    def _listen(self) -> Iterator[bytes]:
        return join(self._subscription)


def split(message: bytes) -> Iterator[bytes]:
    """Cut a message into pieces that a channel takes."""
    count = max(1, -(-len(message) // _PIECE_BYTES))
    if count > 0xFFFF:
        raise ValueError(f"a message of {len(message)} bytes is too long")
    identity = uuid.uuid4().bytes
    for number in range(count):
        head = identity + number.to_bytes(2, "big") + count.to_bytes(2, "big")
        yield head + message[number * _PIECE_BYTES : (number + 1) * _PIECE_BYTES]


def join(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Give the messages of which all pieces came.

    The pieces of one message come in their order, among those of others. Those of a
    publisher that died in the middle are forgotten.
    """
    incomplete: dict[bytes, list[bytes]] = {}
    for piece in pieces:
        identity = piece[:_ID_BYTES]
        number = int.from_bytes(piece[_ID_BYTES : _ID_BYTES + 2], "big")
        count = int.from_bytes(piece[_ID_BYTES + 2 : _HEAD_BYTES], "big")
        got = incomplete.setdefault(identity, [])
        if number == len(got):
            got.append(piece[_HEAD_BYTES:])
        if number + 1 == count:
            del incomplete[identity]
            if len(got) == count:
                yield b"".join(got)
        elif len(incomplete) > _MOST_INCOMPLETE:
            del incomplete[next(iter(incomplete))]
