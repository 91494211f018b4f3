"""What every kind of cache can do: local, on another uWSGI or geuwsgi, on Redis."""

from __future__ import annotations

from typing import Protocol

from geuwsgi.shared.arithmetic import Arithmetic


class CacheBackend(Protocol):
    """Keys and values are bytes; ``seconds`` is a time to live, 0 for ever.

    What returns a bool returns whether it was done. A cache on another machine that
    cannot be reached behaves like an empty one that is full.
    """

    def get(self, key: bytes, /) -> bytes | None: ...

    def set(self, key: bytes, value: bytes, seconds: int = 0, /) -> bool: ...

    def update(self, key: bytes, value: bytes, seconds: int = 0, /) -> bool: ...

    def delete(self, key: bytes, /) -> bool: ...

    def exists(self, key: bytes, /) -> bool: ...

    def clear(self) -> bool: ...

    def change(
        self, key: bytes, arithmetic: Arithmetic, amount: int, seconds: int = 0, /
    ) -> bool: ...

    def number(self, key: bytes, /) -> int: ...

    def keys(self) -> list[bytes]: ...
