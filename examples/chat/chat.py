"""A chat over long polling: plain WSGI, one file, nothing to build.

Start it with ``geuwsgi chat.ini`` and open the page in two windows. Every window keeps
one request open that is answered as soon as somebody says something; under
``gevent = 1000`` a thousand of them wait in one process.

    GET  /                    the page
    GET  /poll?after=7&id=…&name=…
                              what was said after message 7, or a wait for it
    POST /messages            {"name": "Ann", "text": "Hello"}
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs

from gevent.event import Event

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PAGE = Path(__file__).with_name("page.html").read_bytes()

#: How long a poll waits. Below the 60 seconds after which proxies give up.
WAIT_S = 25.0
#: A visitor counts as present for so long after a poll began: one wait and a bit.
PRESENT_S = WAIT_S + 5.0
KEPT_MESSAGES = 200
LONGEST_NAME = 40
LONGEST_TEXT = 2000
LARGEST_BODY = 16 * 1024


class Refused(Exception):
    """The request is wrong; ``status`` and the message go to the visitor."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Message:
    id: int
    name: str
    text: str
    at: float

    @classmethod
    def now(cls, id: int, name: str, text: str) -> Message:
        return cls(id, name, text, time.time())


class Room:
    """What was said, who is here, and everybody who waits for more."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque(maxlen=KEPT_MESSAGES)
        self._last_id = 0
        self._seen: dict[str, tuple[str, float]] = {}
        self._news = Event()

    def say(self, name: str, text: str) -> Message:
        self._last_id += 1
        message = Message.now(self._last_id, name, text)
        self._messages.append(message)
        self._wake_everybody()
        return message

    def enter(self, visitor: str, name: str) -> None:
        known, _ = self._seen.get(visitor, ("", 0.0))
        self._seen[visitor] = (name, time.time())
        if known != name:
            self._wake_everybody()

    def present(self) -> list[str]:
        now = time.time()
        self._seen = {
            visitor: (name, seen)
            for visitor, (name, seen) in self._seen.items()
            if now - seen < PRESENT_S
        }
        return sorted(name for name, _ in self._seen.values())

    def after(self, last_seen: int, wait_s: float = WAIT_S) -> list[Message]:
        """The messages after ``last_seen``; waits if that is the last so far.

        Returns an empty list when the time is over or somebody came in. Ids start at
        1: nobody who saw none has to wait, if he says -1.
        """
        # A visitor from before a restart knows ids that this room has yet to give.
        if last_seen == self._last_id:
            self._news.wait(wait_s)
        elif last_seen > self._last_id:
            last_seen = 0
        return [message for message in self._messages if message.id > last_seen]

    @property
    def last_id(self) -> int:
        return self._last_id

    def _wake_everybody(self) -> None:
        news, self._news = self._news, Event()
        news.set()


def read_json(environ: WSGIEnvironment) -> dict[str, Any]:
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise Refused("400 Bad Request", "the length is not a number") from None
    if length > LARGEST_BODY:
        raise Refused("413 Content Too Large", f"at most {LARGEST_BODY} bytes")
    try:
        sent = json.loads(environ["wsgi.input"].read(length))
    except ValueError:
        raise Refused("400 Bad Request", "the body is not JSON") from None
    if not isinstance(sent, dict):
        raise Refused("400 Bad Request", "the body is not a JSON object")
    return sent


def text_field(fields: dict[str, Any], name: str, longest: int) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refused("400 Bad Request", f"{name!r} is missing")
    if len(value) > longest:
        raise Refused("400 Bad Request", f"{name!r} is longer than {longest} letters")
    return value.strip()


class AnyRoom(Protocol):
    @property
    def last_id(self) -> int: ...
    def say(self, name: str, text: str) -> Message: ...
    def enter(self, visitor: str, name: str) -> None: ...
    def present(self) -> list[str]: ...
    def after(self, last_seen: int, wait_s: float = WAIT_S) -> list[Message]: ...


class Chat:
    """The WSGI application: one room and the three things one can ask of it."""

    def __init__(self, room: AnyRoom) -> None:
        self._room = room

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        routes = {
            ("GET", "/"): self._page,
            ("GET", "/poll"): self._poll,
            ("POST", "/messages"): self._say,
        }
        place = (environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/")
        try:
            if place not in routes:
                raise Refused("404 Not Found", "there is nothing here")
            content_type, body = routes[place](environ)
            status = "200 OK"
        except Refused as refused:
            status, content_type = refused.status, "application/json"
            body = json.dumps({"error": str(refused)}).encode()
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        start_response(status, headers)
        return [body]

    def _page(self, environ: WSGIEnvironment) -> tuple[str, bytes]:
        return "text/html; charset=utf-8", PAGE

    def _poll(self, environ: WSGIEnvironment) -> tuple[str, bytes]:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        fields = {name: values[0] for name, values in query.items()}
        try:
            last_seen = int(fields.get("after", "-1"))
        except ValueError:
            raise Refused("400 Bad Request", "'after' is not a number") from None
        visitor = text_field(fields, "id", LONGEST_NAME)
        self._room.enter(visitor, text_field(fields, "name", LONGEST_NAME))
        messages = self._room.after(last_seen)
        answer = {
            "messages": [asdict(message) for message in messages],
            "last": self._room.last_id,
            "present": self._room.present(),
        }
        return "application/json", json.dumps(answer).encode()

    def _say(self, environ: WSGIEnvironment) -> tuple[str, bytes]:
        fields = read_json(environ)
        message = self._room.say(
            text_field(fields, "name", LONGEST_NAME),
            text_field(fields, "text", LONGEST_TEXT),
        )
        return "application/json", json.dumps(asdict(message)).encode()


application = Chat(Room())
