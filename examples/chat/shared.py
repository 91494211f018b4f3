"""The same chat in several workers: what was said is in uWSGI's shared cache.

Started by ``chat-workers.ini``. Each worker has its own visitors waiting; a uwsgi
signal to all workers tells them that there is something new in the cache.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import uwsgi  # exists inside the server only
from chat import (  # type: ignore[import-not-found]
    KEPT_MESSAGES,
    PRESENT_S,
    WAIT_S,
    Chat,
    Message,
)
from gevent.event import Event

MESSAGES = "messages"
PRESENT = "present"
LAST_ID = "last"
NEWS_SIGNAL = 17


class SharedRoom:
    """A `chat.Room` whose memory is everybody's and whose waiting is each worker's."""

    def __init__(self) -> None:
        self._news = Event()
        uwsgi.register_signal(NEWS_SIGNAL, "workers", self._wake_my_visitors)

    @property
    def last_id(self) -> int:
        return int(uwsgi.cache_get(LAST_ID, MESSAGES) or 0)

    def say(self, name: str, text: str) -> Message:
        # Two workers must not give the same id to two messages.
        uwsgi.lock()
        try:
            message = Message.now(self.last_id + 1, name, text)
            octets = json.dumps(asdict(message)).encode()
            uwsgi.cache_update(str(message.id), octets, 0, MESSAGES)
            uwsgi.cache_update(LAST_ID, str(message.id).encode(), 0, MESSAGES)
            uwsgi.cache_del(str(message.id - KEPT_MESSAGES), MESSAGES)
        finally:
            uwsgi.unlock()
        uwsgi.signal(NEWS_SIGNAL)
        return message

    def enter(self, visitor: str, name: str) -> None:
        known = uwsgi.cache_get(visitor, PRESENT)
        uwsgi.cache_update(visitor, name.encode(), int(PRESENT_S), PRESENT)
        if known != name.encode():
            uwsgi.signal(NEWS_SIGNAL)

    def present(self) -> list[str]:
        names = (uwsgi.cache_get(key, PRESENT) for key in uwsgi.cache_keys(PRESENT))
        return sorted(name.decode() for name in names if name is not None)

    def after(self, last_seen: int, wait_s: float = WAIT_S) -> list[Message]:
        last_id = self.last_id
        if last_seen == last_id:
            self._news.wait(wait_s)
            last_id = self.last_id
        elif last_seen > last_id:
            last_seen = 0
        first = max(last_seen + 1, last_id - KEPT_MESSAGES + 1, 1)
        kept = (
            uwsgi.cache_get(str(number), MESSAGES)
            for number in range(first, last_id + 1)
        )
        return [Message(**json.loads(octets)) for octets in kept if octets is not None]

    def _wake_my_visitors(self, signal: int) -> None:
        news, self._news = self._news, Event()
        news.set()


application = Chat(SharedRoom())
