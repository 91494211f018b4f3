"""The ``cache_*`` functions of the ``uwsgi`` module.

Thin by intention: a million calls a second go through here. What is not plain – a
named cache, a key that is str – takes the longer way.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from geuwsgi.api.basic import as_bytes
from geuwsgi.shared.arithmetic import Arithmetic

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.cache.backend import CacheBackend
    from geuwsgi.cache.caches import Caches

Text = str | bytes

_INC, _DEC, _MUL, _DIV = Arithmetic


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions, for the caches of the process's generation."""
    for function in cache_functions(context.commons.caches):
        setattr(module, function.__name__, function)


def cache_functions(caches: Caches) -> list[Callable[..., Any]]:
    """Return the functions over ``caches``.

    A cache argument is a name, ``name@address`` or ``@address`` for a cache of another
    server, or ``""`` for the first one. Functions return None for what uWSGI fails to
    do, and True or the value otherwise.
    """
    default = caches.named()
    default_get = default.get if default is not None else _nothing
    default_update = default.update if default is not None else _refuse

    def find(name: Any) -> CacheBackend | None:
        if not isinstance(name, str):
            raise TypeError(f"the cache must be a str, not {type(name).__name__}")
        return caches.named(name)

    def cache_get(key: Text, cache: str = "", /) -> bytes | None:
        """Return the value, or None."""
        if key.__class__ is str:
            key = key.encode()
        elif key.__class__ is not bytes:
            key = as_bytes(key)
        if cache == "":
            return default_get(key)
        target = find(cache)
        return None if target is None else target.get(key)

    def cache_set(
        key: Text, value: Text, expires: int = 0, cache: str = "", /
    ) -> bool | None:
        """Store a new key; None if it exists or cannot be stored."""
        target = find(cache)
        key, value = as_bytes(key), as_bytes(value)
        seconds = operator.index(expires)
        if target is None:
            return None
        return target.set(key, value, seconds) or None

    def cache_update(
        key: Text, value: Text, expires: int = 0, cache: str = "", /
    ) -> bool | None:
        """Store a key, new or not; None if it cannot be stored."""
        if key.__class__ is str:
            key = key.encode()
        elif key.__class__ is not bytes:
            key = as_bytes(key)
        if value.__class__ is not bytes:
            value = as_bytes(value)
        if expires.__class__ is not int:
            expires = operator.index(expires)
        if cache == "":
            return default_update(key, value, expires) or None
        target = find(cache)
        if target is None:
            return None
        return target.update(key, value, expires) or None

    def cache_del(key: Text, cache: str = "", /) -> bool | None:
        """Remove a key; None if there was none."""
        target, key = find(cache), as_bytes(key)
        return (target is not None and target.delete(key)) or None

    def cache_exists(key: Text, cache: str = "", /) -> bool | None:
        """Return True if the key is there, else None."""
        target, key = find(cache), as_bytes(key)
        return (target is not None and target.exists(key)) or None

    def cache_clear(cache: str = "", /) -> bool | None:
        """Remove everything; None if there is no such cache."""
        target = find(cache)
        return (target is not None and target.clear()) or None

    def cache_num(key: Text, cache: str = "", /) -> int:
        """Return the value as a number, 0 if it is none."""
        target, key = find(cache), as_bytes(key)
        return 0 if target is None else target.number(key)

    def cache_keys(cache: str = "", /) -> list[bytes]:
        """Return all keys. Raises ValueError if there is no such cache."""
        target = find(cache)
        if target is None:
            raise ValueError("no local uWSGI cache available")
        return target.keys()

    def change(
        arithmetic: Arithmetic, key: Text, amount: int, expires: int, cache: str
    ) -> bool | None:
        target, key = find(cache), as_bytes(key)
        number, seconds = _as_int64(amount), operator.index(expires)
        if target is None:
            return None
        return target.change(key, arithmetic, number, seconds) or None

    def cache_inc(
        key: Text, value: int = 1, expires: int = 0, cache: str = "", /
    ) -> bool | None:
        """Add to a number; a key that is not there begins with math_initial."""
        return change(_INC, key, value, expires, cache)

    def cache_dec(
        key: Text, value: int = 1, expires: int = 0, cache: str = "", /
    ) -> bool | None:
        """Subtract from a number."""
        return change(_DEC, key, value, expires, cache)

    def cache_mul(
        key: Text, value: int = 2, expires: int = 0, cache: str = "", /
    ) -> bool | None:
        """Multiply a number."""
        return change(_MUL, key, value, expires, cache)

    def cache_div(
        key: Text, value: int = 2, expires: int = 0, cache: str = "", /
    ) -> bool | None:
        """Divide a number, towards zero; by zero it becomes zero."""
        return change(_DIV, key, value, expires, cache)

    return [
        cache_get,
        cache_set,
        cache_update,
        cache_del,
        cache_exists,
        cache_clear,
        cache_num,
        cache_keys,
        cache_inc,
        cache_dec,
        cache_mul,
        cache_div,
    ]


def _as_int64(value: int) -> int:
    number = operator.index(value)
    if not -(1 << 63) <= number < 1 << 63:
        raise OverflowError("Python int too large to convert to C long")
    return number


def _nothing(key: bytes, /) -> bytes | None:
    return None


def _refuse(key: bytes, value: bytes, seconds: int = 0, /) -> bool:
    return False
