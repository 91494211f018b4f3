"""The messages on the control channels, and their framing.

Every process has one stream socket to the master. A frame is

    length of the body (4 bytes, big endian) | kind (1 byte) | body

where most bodies are a JSON object and a few are plain bytes. This module turns
messages into bytes and back; it opens no socket. What a body must contain is said
beside each kind.

Both ends are the same program in the same version, so a frame that is not understood
is a bug and ends the channel.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any

MAX_BODY = 16 * 1024 * 1024
_HEAD = 5


class Kind(enum.IntEnum):
    """What a message says; the direction stands in front."""

    # template → master
    LOADED = 1  # {"apps": n, "error": str | null}; the application is in memory
    SOURCES = 3  # {"files": {path: mtime_ns}}; loaded from these; also from workers
    # master → template
    FORK = (
        2  # {"serial", "slot", "worker_id", "role"}, with one descriptor: its channel
    )
    # worker → master
    HELLO = 10  # {"pid": n}; it exists
    READY = 11  # {}; it could serve, and waits for SERVE
    RETIRE = 12  # {"reason": str}; it asks to be replaced
    RELOAD = 13  # {}; the application asked for a reload of the instance
    SHUTDOWN = 14  # {}; the application asked the instance to stop
    ANSWER = 15  # {"question": n, …}; reply to a question
    FAILED = 16  # {"error": str}; the application could not be loaded (lazy-apps)
    COMMAND = 17  # {"name": str, …}; anything else an application may ask for
    # master → worker
    DRAIN = 30  # {"reason": str, "deadline_s": float}; finish and exit
    ANNOUNCE = 34  # {}; a drain will come, and the application may know
    PAUSE = 31  # {"paused": bool}
    SERVE = 32  # {}; the answer to READY, at once or when the generation is promoted
    QUESTION = 33  # {"question": n, "name": str, …}
    # any direction, routed by the master
    SIGNAL = 50  # bytes: signal number
    MULE = 51  # bytes: message for a mule
    CALL = 52  # {"call": n, "name": str, …}
    REPLY = 53  # {"call": n, …}


@dataclass(slots=True)
class Message:
    """One message. ``body`` is JSON text unless the kind says bytes."""

    kind: Kind
    body: bytes = b""

    def fields(self) -> dict[str, Any]:
        """The body as an object. Raises :exc:`ChannelError` if it is none."""
        if not self.body:
            return {}
        try:
            fields = json.loads(self.body)
        except ValueError as exc:
            raise ChannelError(f"malformed body of a {self.kind.name} message") from exc
        if not isinstance(fields, dict):
            raise ChannelError(f"malformed body of a {self.kind.name} message")
        return fields


class ChannelError(Exception):
    """The other end sent what no version of this program sends."""


def encode(kind: Kind, body: bytes = b"", /, **fields: object) -> bytes:
    """The frame of one message: ``body`` as it is, or ``fields`` as JSON."""
    if fields:
        body = json.dumps(fields, separators=(",", ":")).encode()
    if len(body) > MAX_BODY:
        raise ValueError(f"a message of {len(body)} bytes is over {MAX_BODY}")
    return len(body).to_bytes(4, "big") + bytes((kind,)) + body


class Decoder:
    """Bytes, in pieces of any size, to messages."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> list[Message]:
        """The messages that ``received`` completes.

        Raises :exc:`ChannelError` for an unknown kind or an absurd length; the
        decoder must not be used after that.
        """
        buffer = self._buffer
        buffer += received
        messages: list[Message] = []
        start = 0
        while len(buffer) - start >= _HEAD:
            length = int.from_bytes(buffer[start : start + 4], "big")
            if length > MAX_BODY:
                raise ChannelError(f"a frame of {length} bytes is over {MAX_BODY}")
            end = start + _HEAD + length
            if len(buffer) < end:
                break
            number = buffer[start + 4]
            try:
                kind = Kind(number)
            except ValueError as exc:
                raise ChannelError(f"unknown kind of message: {number}") from exc
            messages.append(Message(kind, bytes(buffer[start + _HEAD : end])))
            start = end
        del buffer[:start]
        return messages
