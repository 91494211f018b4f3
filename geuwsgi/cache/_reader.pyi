from collections.abc import Callable
from mmap import mmap

from geuwsgi.cache.geometry import Geometry

class Reader:
    def __init__(
        self,
        memory: mmap,
        geometry: Geometry,
        *,
        largest: int,
        sequence: int,
        tick: int,
        purge_lru: bool,
        ask: Callable[[bytes, int], bytes | None],
        clock: Callable[[], float],
    ) -> None: ...
    def count_in(self, hits: int, misses: int) -> None: ...
    def get(self, key: bytes) -> bytes | None: ...
