"""Channels: what one process publishes, everybody who subscribed hears.

Between the processes of one machine messages go through boxes in memory; with
``channels = redis://…`` through that server, to every machine that uses it. Messages are
bytes. They are not kept: who subscribes hears what is published from then on. Each
process hears the messages of one publisher in their order.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gevent
import gevent.queue
import gevent.socket

from geuwsgi.cache.redisclients import RedisClients, ServerUnavailable
from geuwsgi.protocol.urls import without_secrets

if TYPE_CHECKING:
    from geuwsgi.shared.broadcast import Broadcast
    from geuwsgi.shared.mailboxes import Mailbox

# A reader that does not read has this long before messages pass it by.
_PATIENCE_S = 1.0
_RETRY_S = 0.5
LARGEST_MESSAGE = 100_000
_PREFIX = b"geuwsgi:channel:"

Callback = Callable[[bytes], object]


class Subscription:
    """What one subscriber hears. Iterate over it, or give a callback instead.

    A subscriber that is slower than its channel loses the oldest messages beyond
    ``limit``; ``lost`` counts them.
    """

    def __init__(
        self, channels: Channels, name: bytes, callback: Callback | None, limit: int
    ) -> None:
        self.lost = 0
        self._channels = channels
        self._name = name
        self._callback = callback
        self._limit = limit
        self._queue: gevent.queue.SimpleQueue[bytes | None] = gevent.queue.SimpleQueue()
        self._closed = False

    def get(self, timeout: float | None = None) -> bytes | None:
        """Wait for a message; None after ``timeout`` seconds, or when closed."""
        try:
            return self._queue.get(timeout=timeout)
        except gevent.queue.Empty:
            return None

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._queue.get()) is not None:
            yield message

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Hear no more, and end the iteration."""
        if not self._closed:
            self._closed = True
            self._channels.forget(self._name, self)
            self._queue.put(None)

    def deliver(self, message: bytes) -> None:
        """Take a message. Does not wait."""
        if self._callback is not None:
            try:
                self._callback(message)
            except Exception:
                traceback.print_exc()
            return
        if self._queue.qsize() >= self._limit:
            self._queue.get_nowait()
            self.lost += 1
        self._queue.put(message)


class Channel:
    """A channel by name; every object of one name is the same channel."""

    def __init__(self, channels: Channels, name: bytes) -> None:
        self._channels = channels
        self._name = name

    def publish(self, message: str | bytes) -> None:
        """Send a message to all subscribers, those of this process included.

        Blocks the greenlet while a reader's box is full, a second at most. Raises
        ValueError for a message over 100,000 bytes; with a server, ServerUnavailable.
        """
        octets = message.encode() if isinstance(message, str) else bytes(message)
        if len(octets) > LARGEST_MESSAGE:
            raise ValueError(
                f"a message of {len(octets)} bytes is over {LARGEST_MESSAGE}"
            )
        self._channels.publish(self._name, octets)

    def subscribe(
        self, callback: Callback | None = None, *, limit: int = 1000
    ) -> Subscription:
        """Hear what is published from now on.

        A callback is called for one message after another, of all channels of this
        process: while it waits, the others wait. Without one, iterate over the
        subscription. Close it, or use it as a context manager.
        """
        return self._channels.subscribe(self._name, callback, limit)


class Channels:
    """The channels as one process has them. Made before the fork."""

    def __init__(
        self, broadcast: Broadcast | None, url: str = "", *, timeout_s: float = 1.0
    ) -> None:
        self._broadcast = broadcast
        self._shown_url = without_secrets(url)
        self._clients = RedisClients(url, timeout_s=timeout_s) if url else None
        self._subscriptions: dict[bytes, list[Subscription]] = {}
        self._pid = 0
        self._box: Mailbox | None = None
        self._listener: gevent.Greenlet[..., None] | None = None
        self._pubsub: Any = None
        self.is_forked = False
        self.undelivered = 0

    def channel(self, name: str | bytes) -> Channel:
        return Channel(self, name.encode() if isinstance(name, str) else name)

    def enter_process(self) -> None:
        """Begin to hear in a process that was just forked, if somebody subscribed."""
        self.is_forked = True
        if self._subscriptions:
            self._listen()

    def subscribe(
        self, name: bytes, callback: Callback | None, limit: int
    ) -> Subscription:
        subscription = Subscription(self, name, callback, limit)
        known = self._subscriptions.setdefault(name, [])
        known.append(subscription)
        if self.is_forked:
            self._listen()
            if self._pubsub is not None and len(known) == 1:
                self._tell_server("subscribe", name)
        return subscription

    def forget(self, name: bytes, subscription: Subscription) -> None:
        known = self._subscriptions.get(name, [])
        if subscription in known:
            known.remove(subscription)
            if not known:
                del self._subscriptions[name]
                if self._pubsub is not None:
                    self._tell_server("unsubscribe", name)

    def publish(self, name: bytes, message: bytes) -> None:
        if self._clients is not None:
            with self._clients.client() as client:
                client.publish(_PREFIX + name, message)
        elif self._broadcast is not None:
            self._send(len(name).to_bytes(2, "big") + name + message)

    def close(self) -> None:
        """Hear no more in this process."""
        if self._listener is not None:
            self._listener.kill(block=False)
            self._listener = None
        if self._box is not None and self._broadcast is not None:
            self._broadcast.give_back(self._box)
            self._box = None
        self._pid = 0

    # One machine

    def _send(self, frame: bytes) -> None:
        assert self._broadcast is not None
        full = [box for box in self._broadcast.readers() if not box.send(frame)]
        waited = 0.0
        while full and waited < _PATIENCE_S:
            gevent.sleep(0.002)
            waited += 0.002
            full = [box for box in full if not box.send(frame)]
        self.undelivered += len(full)

    def _listen(self) -> None:
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        if self._clients is not None:
            self._listener = gevent.spawn(self._listen_to_server)
        elif self._broadcast is not None:
            self._box = self._broadcast.claim()
            if self._box is None:
                sys.stderr.write("channels: no box is free, nothing will be heard\n")
                return
            self._listener = gevent.spawn(self._listen_to_box, self._box)

    def _listen_to_box(self, box: Mailbox) -> None:
        while True:
            frame = box.receive(1 << 20)
            if frame is None:
                gevent.socket.wait_read(box.fileno())
                continue
            end = 2 + int.from_bytes(frame[:2], "big")
            self._dispatch(frame[2:end], frame[end:])

    def _dispatch(self, name: bytes, message: bytes) -> None:
        for subscription in list(self._subscriptions.get(name, ())):
            subscription.deliver(message)

    # A server

    def _listen_to_server(self) -> None:
        assert self._clients is not None
        while True:
            try:
                self._hear_server()
            except Exception as exc:
                self._pubsub = None
                sys.stderr.write(f"channels: {self._shown_url}: {exc}\n")
            gevent.sleep(_RETRY_S)

    def _hear_server(self) -> None:
        assert self._clients is not None
        client = self._clients.make(timeout_s=None)
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        try:
            # A connection without a subscription may not be listened to.
            pubsub.subscribe(_PREFIX, *(_PREFIX + name for name in self._subscriptions))
            self._pubsub = pubsub
            for message in pubsub.listen():
                name = message["channel"][len(_PREFIX) :]
                self._dispatch(name, message["data"])
        finally:
            self._pubsub = None
            pubsub.close()
            client.close()

    def _tell_server(self, verb: str, name: bytes) -> None:
        try:
            getattr(self._pubsub, verb)(_PREFIX + name)
        except Exception as exc:
            # The listener notices too, and subscribes to everything anew.
            sys.stderr.write(f"channels: {self._shown_url}: {exc}\n")


__all__ = ["Channel", "Channels", "ServerUnavailable", "Subscription"]
