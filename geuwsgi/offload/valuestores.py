"""Values kept on memcached and Redis servers, for routing rules.

A connection a question: rules that use these are few, and what is asked for them is
answered in one round trip. Whatever goes wrong looks as if there was no value: the
application answers then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from geuwsgi.errors import Disconnected, RemoteProtocolError
from geuwsgi.net.address import Address
from geuwsgi.offload.upstream import Connector, UpstreamError
from geuwsgi.protocol import values

#: A value longer than this is not fetched: it is held in memory.
MAX_VALUE = 16 * 1024 * 1024
_BLOCK = 65536

Answer = TypeVar("Answer")


class ValueStoreError(Exception):
    """The server did not do what was asked."""


class Memcached:
    """A memcached server at ``address``."""

    def __init__(self, connector: Connector, address: Address) -> None:
        self._connector = connector
        self._address = address

    def get(self, key: bytes) -> bytes | None:
        """Return a value, None if there is none. Raises ValueStoreError."""
        asked = _encoded(values.encode_memcached_get, key)
        return self._ask(asked, values.decode_memcached_get).value

    def set(self, key: bytes, value: bytes, seconds: int) -> bool:
        """Keep a value, 0: for ever; whether it is kept. Raises ValueStoreError."""
        asked = _encoded(values.encode_memcached_set, key, value, seconds)
        return self._ask(asked, values.decode_memcached_set)

    def _ask(
        self, request: bytes, decode: Callable[[bytearray], Answer | None]
    ) -> Answer:
        return _ask(self._connector, self._address, request, decode)


class Redis:
    """A Redis or Valkey server at ``address``, its database 0."""

    def __init__(self, connector: Connector, address: Address) -> None:
        self._connector = connector
        self._address = address

    def get(self, key: bytes) -> bytes | None:
        """Return a value, None if there is none. Raises ValueStoreError."""
        request = values.encode_redis(b"GET", key)
        return self._ask(request, values.decode_redis_get).value

    def set(self, key: bytes, value: bytes, seconds: int) -> bool:
        """Keep a value, 0: for ever; whether it is kept. Raises ValueStoreError."""
        ending = (b"EX", b"%d" % seconds) if seconds else ()
        request = values.encode_redis(b"SET", key, value, *ending)
        return self._ask(request, values.decode_redis_set)

    def _ask(
        self, request: bytes, decode: Callable[[bytearray], Answer | None]
    ) -> Answer:
        return _ask(self._connector, self._address, request, decode)


def _encoded(encode: Callable[..., bytes], *arguments: object) -> bytes:
    try:
        return encode(*arguments)
    except ValueError as exc:
        raise ValueStoreError(str(exc)) from None


def _ask(
    connector: Connector,
    address: Address,
    request: bytes,
    decode: Callable[[bytearray], Answer | None],
) -> Answer:
    try:
        upstream = connector.connect(address)
    except UpstreamError as exc:
        raise ValueStoreError(str(exc)) from exc
    try:
        upstream.send_all(request)
        received = bytearray()
        while True:
            block = upstream.recv(_BLOCK)
            if not block:
                raise ValueStoreError("the server closed before its answer was whole")
            received += block
            if len(received) > MAX_VALUE:
                raise ValueStoreError(f"a value longer than {MAX_VALUE} bytes")
            answer = decode(received)
            if answer is not None:
                return answer
    except (Disconnected, RemoteProtocolError) as exc:
        raise ValueStoreError(str(exc)) from exc
    finally:
        upstream.close()
