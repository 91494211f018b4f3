"""Responses kept on memcached and Redis servers: ``memcached``, ``redis``, ``…store``.

A server that cannot be reached costs a line in the log; the application answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import gevent

from geuwsgi.errors import ConfigError
from geuwsgi.net.address import Address, parse_backend
from geuwsgi.offload.upstream import Connector
from geuwsgi.offload.valuestores import Memcached, Redis, ValueStoreError
from geuwsgi.server.routing.answers import answer, field_value
from geuwsgi.server.routing.kit import Kit, parse_key_values
from geuwsgi.server.routing.transforms import MAX_WHOLE
from geuwsgi.server.routing.visit import Outcome
from geuwsgi.server.transform import Copy, add_transformation

if TYPE_CHECKING:
    from geuwsgi.server.routing.actions import Action, ActionFactory
    from geuwsgi.server.routing.template import Template
    from geuwsgi.server.routing.visit import Visit


class ValueStore(Protocol):
    """A server that keeps values."""

    def get(self, key: bytes) -> bytes | None: ...
    def set(self, key: bytes, value: bytes, seconds: int) -> bool: ...


MakeStore = Callable[[Connector, Address], ValueStore]


class _Arguments:
    def __init__(
        self, argument: str, kit: Kit, action: str, make: MakeStore, *more: str
    ) -> None:
        if kit.connector is None:
            raise ConfigError(f"{action}: there are no backends in this process")
        self._kit = kit
        self._connector = kit.connector
        self._make = make
        self._action = action
        self.values: dict[str, Template] = parse_key_values(
            argument, kit, action=action, known=("addr", "key", *more), needed=("key",)
        )
        if "addr" not in self.values:
            raise ConfigError(f"{action} needs addr=")
        literal = self.values["addr"].literal
        if literal is not None:
            parse_backend(literal)

    def store(self, visit: Visit) -> ValueStore:
        """Raises ConfigError for an address that is none."""
        address = parse_backend(self.values["addr"].render(visit))
        return self._make(self._connector, address)

    def key(self, visit: Visit) -> bytes:
        return self.values["key"].render(visit).encode("latin-1", "replace")

    def text(self, name: str, visit: Visit, default: str) -> str:
        template = self.values.get(name)
        return template.render(visit) if template is not None else default

    def report(self, error: Exception) -> None:
        self._kit.report(f"{self._action}: {error}")


def _serving(action: str, make: MakeStore) -> ActionFactory:
    def build(argument: str, kit: Kit) -> Action:
        arguments = _Arguments(
            argument, kit, action, make, "content_type", "no_offload"
        )

        def act(visit: Visit) -> Outcome:
            try:
                value = arguments.store(visit).get(arguments.key(visit))
            except (ValueStoreError, ConfigError) as exc:
                arguments.report(exc)
                return Outcome.NEXT
            if value is None:
                return Outcome.NEXT
            media_type = arguments.text("content_type", visit, "text/html")
            fields = [("Content-Type", field_value(media_type, "the media type"))]
            answer(visit.exchange, "200 OK", value, fields)
            return Outcome.BREAK

        return act

    return build


def _storing(action: str, make: MakeStore) -> ActionFactory:
    def build(argument: str, kit: Kit) -> Action:
        arguments = _Arguments(argument, kit, action, make, "expires")

        def act(visit: Visit) -> Outcome:
            # An answer to HEAD or POST is not what GET is to be answered with.
            if visit.exchange.method == "GET":
                add_transformation(visit.exchange, transformation(visit))
            return Outcome.NEXT

        def transformation(visit: Visit) -> Copy:
            key = arguments.key(visit)
            text = arguments.text("expires", visit, "0")
            seconds = int(text) if text.isascii() and text.isdigit() else 0

            def keep(body: bytes) -> None:
                try:
                    arguments.store(visit).set(key, body, seconds)
                except (ValueStoreError, ConfigError) as exc:
                    arguments.report(exc)

            def keep_aside(body: bytes) -> None:
                # The client does not wait for the other server.
                gevent.spawn(keep, body)

            return Copy(keep_aside, MAX_WHOLE)

        return act

    return build


STORE_ACTIONS: Mapping[str, ActionFactory] = {
    "memcached": _serving("memcached", Memcached),
    "memcached-continue": _serving("memcached", Memcached),
    "memcached-store": _storing("memcachedstore", Memcached),
    "memcachedstore": _storing("memcachedstore", Memcached),
    "redis": _serving("redis", Redis),
    "redis-continue": _serving("redis", Redis),
    "redis-store": _storing("redisstore", Redis),
    "redisstore": _storing("redisstore", Redis),
}
