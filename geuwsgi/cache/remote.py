"""A cache of another uWSGI or geuwsgi server, over modifier 111.

One connection a request, as the protocol has it. A server that cannot be reached, is
silent or talks nonsense makes the cache look empty and full; nobody gets an exception.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.cache_messages import (
    CacheAnswer,
    CacheRequest,
    decode_answer,
    encode_request,
)
from geuwsgi.protocol.uwsgi import CACHE, HEADER_SIZE, decode_array, decode_header
from geuwsgi.shared.arithmetic import Arithmetic
from geuwsgi.shared.client import TIMEOUT_S, ask

_COMPLAINT_EVERY_S = 1.0


class RemoteCache:
    """``name`` is the cache there, ``""`` its first one.

    Every method blocks the calling greenlet until the answer comes or ``timeout_s``
    is over.
    """

    def __init__(
        self,
        address: str,
        name: str = "",
        *,
        timeout_s: float = TIMEOUT_S,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self._address = address
        self._name = name
        self._timeout_s = timeout_s
        self._log = log
        self._complained = -_COMPLAINT_EVERY_S

    def get(self, key: bytes, /) -> bytes | None:
        return self._value("get", key)

    def set(self, key: bytes, value: bytes, seconds: int = 0, /) -> bool:
        return self._done(self._store("set", key, value, seconds))

    def update(self, key: bytes, value: bytes, seconds: int = 0, /) -> bool:
        return self._done(self._store("update", key, value, seconds))

    def delete(self, key: bytes, /) -> bool:
        return self._done(self._request("del", key))

    def exists(self, key: bytes, /) -> bool:
        return self._done(self._request("exists", key))

    def clear(self) -> bool:
        return self._done(self._request("clear"))

    def change(
        self, key: bytes, arithmetic: Arithmetic, amount: int, seconds: int = 0, /
    ) -> bool:
        request = self._request(arithmetic.value, key)
        request.amount = amount
        request.expires = seconds
        return self._done(request)

    def number(self, key: bytes, /) -> int:
        value = self._value("num", key)
        try:
            return int(value or b"0")
        except ValueError:
            return 0

    def keys(self) -> list[bytes]:
        try:
            return decode_array(self._value("keys") or b"")
        except RemoteProtocolError as exc:
            self._complain(str(exc))
            return []

    def _request(self, command: str, key: bytes = b"") -> CacheRequest:
        return CacheRequest(command, key=key, cache=self._name)

    def _store(
        self, command: str, key: bytes, value: bytes, seconds: int
    ) -> CacheRequest:
        request = self._request(command, key)
        request.value = value
        request.size = len(value)
        request.expires = seconds
        return request

    def _done(self, request: CacheRequest) -> bool:
        return self._exchange(request) is not None

    def _value(self, command: str, key: bytes = b"") -> bytes | None:
        answer = self._exchange(self._request(command, key))
        return None if answer is None else answer[1]

    def _exchange(self, request: CacheRequest) -> tuple[CacheAnswer, bytes] | None:
        if len(request.key) > 0xFFFF - 1024:
            return None
        try:
            packet = encode_request(request) + request.value
            return _decode(ask(self._address, packet, self._timeout_s))
        except (OSError, RemoteProtocolError) as exc:
            self._complain(str(exc))
        return None

    def _complain(self, why: str) -> None:
        now = time.monotonic()
        if self._log is not None and now - self._complained >= _COMPLAINT_EVERY_S:
            self._complained = now
            self._log(f"cache {self._name}@{self._address}: {why}")


def _decode(received: bytes) -> tuple[CacheAnswer, bytes] | None:
    if not received:
        return None
    if len(received) < HEADER_SIZE or received[0] != CACHE:
        raise RemoteProtocolError(f"a cache answer that begins {received[:8]!r}")
    end = HEADER_SIZE + decode_header(received)[1]
    answer = decode_answer(received[HEADER_SIZE:end])
    value = received[end : end + answer.size]
    if len(received) < end or len(value) < answer.size:
        raise RemoteProtocolError("a cache answer that was cut short")
    return answer, value
