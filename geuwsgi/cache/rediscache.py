"""A cache on a Redis or Valkey server (``cache2 = name=x,backend=redis://…``).

Many machines share it. Keys stand under the cache's name and a colon. Numbers are
decimal text, which other programs understand and which add without loss; a value of
eight bytes that is none is taken as uWSGI writes it.

Without the server the cache looks empty and full, and says so in the log once a second.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable
from typing import Any

from geuwsgi.cache.log import Log
from geuwsgi.cache.redisclients import RedisClients, ServerUnavailable
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.shared.arithmetic import Arithmetic

_COMPLAINT_EVERY_S = 1.0
_BATCH = 500
_MOST_LOCAL = 1000
_TRIES = 20
_DECIMAL = re.compile(rb"-?[0-9]{1,19}")
_BYTES = struct.Struct("<q")

# KEYS: the key. ARGV: what to add, where a new number begins, its seconds to live.
_ADD = """
local fresh = redis.call('exists', KEYS[1]) == 0
if fresh and ARGV[2] ~= '0' then redis.call('set', KEYS[1], ARGV[2]) end
redis.call('incrby', KEYS[1], ARGV[1])
if fresh and ARGV[3] ~= '0' then redis.call('expire', KEYS[1], ARGV[3]) end
return 1
"""


class RedisCache:
    """See the module's text. A ``geuwsgi.cache.backend.CacheBackend``."""

    def __init__(self, spec: CacheSpec, log: Log) -> None:
        self.spec = spec
        self._clients = RedisClients(spec.backend, timeout_s=spec.timeout)
        self._prefix = spec.name.encode() + b":"
        self._log = log
        self._complained = -_COMPLAINT_EVERY_S
        self._local: dict[bytes, tuple[float, bytes | None]] = {}

    def get(self, key: bytes, /) -> bytes | None:
        if not self.spec.local_ttl:
            return self._read(key)
        now = time.monotonic()
        known = self._local.get(key)
        if known is not None and known[0] > now:
            return known[1]
        value = self._read(key)
        if len(self._local) >= _MOST_LOCAL:
            self._local.clear()
        self._local[key] = now + self.spec.local_ttl, value
        return value

    def set(self, key: bytes, value: bytes, seconds: int = 0, /) -> bool:
        return self._write(key, value, seconds, only_new=True)

    def update(self, key: bytes, value: bytes, seconds: int = 0, /) -> bool:
        return self._write(key, value, seconds, only_new=False)

    def delete(self, key: bytes, /) -> bool:
        self._local.pop(key, None)
        return bool(self._ask(lambda client: client.delete(self._prefix + key)))

    def exists(self, key: bytes, /) -> bool:
        return bool(self._ask(lambda client: client.exists(self._prefix + key)))

    def clear(self) -> bool:
        self._local.clear()

        def remove(client: Any) -> bool:
            batch = []
            for name in client.scan_iter(_escape(self._prefix) + b"*", count=_BATCH):
                batch.append(name)
                if len(batch) == _BATCH:
                    client.unlink(*batch)
                    batch.clear()
            if batch:
                client.unlink(*batch)
            return True

        return bool(self._ask(remove))

    def keys(self) -> list[bytes]:
        def scan(client: Any) -> list[bytes]:
            pattern = _escape(self._prefix) + b"*"
            return list(set(client.scan_iter(pattern, count=_BATCH)))

        found = self._ask(scan) or []
        return [key[len(self._prefix) :] for key in found]

    def number(self, key: bytes, /) -> int:
        return _as_number(self.get(key)) or 0

    def change(
        self, key: bytes, arithmetic: Arithmetic, amount: int, seconds: int = 0, /
    ) -> bool:
        self._local.pop(key, None)
        if arithmetic in (Arithmetic.INC, Arithmetic.DEC):
            step = amount if arithmetic is Arithmetic.INC else -amount
            return self._add(self._prefix + key, step, seconds)
        return bool(
            self._ask(
                lambda client: self._replace(client, key, arithmetic, amount, seconds),
                again=False,
            )
        )

    def _read(self, key: bytes) -> bytes | None:
        value: bytes | None = self._ask(lambda client: client.get(self._prefix + key))
        return value

    def _write(self, key: bytes, value: bytes, seconds: int, *, only_new: bool) -> bool:
        self._local.pop(key, None)
        if not key or not value:
            return False
        if seconds < 0:
            return bool(self._ask(lambda c: c.delete(self._prefix + key) >= 0))
        return bool(
            self._ask(
                lambda client: client.set(
                    self._prefix + key, value, ex=seconds or None, nx=only_new
                ),
                again=not only_new,
            )
        )

    def _add(self, name: bytes, step: int, seconds: int) -> bool:
        initial = self.spec.math_initial
        return bool(
            self._ask(
                lambda client: client.eval(_ADD, 1, name, step, initial, seconds),
                again=False,
            )
        )

    def _replace(
        self,
        client: Any,
        key: bytes,
        arithmetic: Arithmetic,
        amount: int,
        seconds: int,
    ) -> bool:
        """Change a number by what the server cannot do itself; nobody is overwritten."""
        name = self._prefix + key
        watch_error = self._clients.package.exceptions.WatchError
        with client.pipeline() as pipeline:
            for _ in range(_TRIES):
                pipeline.watch(name)
                old = pipeline.get(name)
                number = _as_number(old)
                if number is None:
                    number = self.spec.math_initial
                pipeline.multi()
                new = b"%d" % arithmetic.apply(number, amount)
                if old is not None:
                    pipeline.set(name, new, keepttl=True)
                else:
                    pipeline.set(name, new, ex=seconds or None)
                try:
                    pipeline.execute()
                    return True
                except watch_error:
                    continue
        return False

    def _ask(self, function: Callable[[Any], Any], *, again: bool = True) -> Any:
        """Ask the server; None if it cannot be reached or refuses."""
        try:
            if again:
                return self._clients.try_twice(function)
            with self._clients.client() as client:
                return function(client)
        except ServerUnavailable as exc:
            self._complain(str(exc))
        except self._clients.package.exceptions.ResponseError as exc:
            self._complain(f"{self._clients.shown_url}: {exc}")
        return None

    def _complain(self, why: str) -> None:
        now = time.monotonic()
        if now - self._complained >= _COMPLAINT_EVERY_S:
            self._complained = now
            self._log(f'cache "{self.spec.name}": {why}')


def _as_number(value: bytes | None) -> int | None:
    """Return the number a value is, 0 for other values, None for no value."""
    if value is None:
        return None
    if _DECIMAL.fullmatch(value):
        return int(value)
    return int(_BYTES.unpack(value)[0]) if len(value) == 8 else 0


def _escape(text: bytes) -> bytes:
    return re.sub(rb"([*?\[\]\\])", rb"\\\1", text)
