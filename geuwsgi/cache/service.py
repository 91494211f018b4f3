"""What a server does when another one, or ``geuwsgi cache``, asks for its caches."""

from __future__ import annotations

import math

from geuwsgi.cache.cache import Cache
from geuwsgi.cache.caches import Caches
from geuwsgi.protocol.cache_messages import (
    CacheRequest,
    encode_answer,
    encode_missing,
)
from geuwsgi.protocol.uwsgi import encode_array
from geuwsgi.shared.arithmetic import Arithmetic


def answer(caches: Caches, request: CacheRequest) -> bytes:
    """Do what a request asks; return the answer, ``b""`` to just close.

    ``request.value`` has been read. Only local caches are served: a request is never
    passed on.
    """
    cache = caches.local(request.cache)
    if cache is None:
        return encode_missing(request.form)
    if request.command == "get":
        return _get(cache, request)
    if request.command == "num":
        return encode_answer(request.form, b"%d" % cache.number(request.key))
    if request.command == "keys":
        return encode_answer(request.form, encode_array(cache.keys()))
    done = _change(cache, request)
    return encode_answer(request.form, None) if done else encode_missing(request.form)


def largest_value(caches: Caches, request: CacheRequest) -> int:
    """Return how many bytes of value are worth reading for a request."""
    cache = caches.local(request.cache)
    if cache is None or request.command not in ("set", "update"):
        return 0
    return cache.table.largest_value


def _get(cache: Cache, request: CacheRequest) -> bytes:
    found = cache.table.get_with_expiry(request.key)
    if found is None:
        return encode_missing(request.form)
    value, expires = found
    return encode_answer(
        request.form, value, 0 if expires == math.inf else int(expires)
    )


def _change(cache: Cache, request: CacheRequest) -> bool:
    key, seconds = request.key, request.expires
    if request.command == "set":
        return cache.set(key, request.value, seconds)
    if request.command == "update":
        return cache.update(key, request.value, seconds)
    if request.command == "del":
        return cache.delete(key)
    if request.command == "exists":
        return cache.exists(key)
    if request.command == "clear":
        return cache.clear()
    return cache.change(key, Arithmetic(request.command), request.amount, seconds)
