from collections.abc import Iterable

class FieldReader:
    def learn(self, name: bytes, key: str, steady: bool) -> None: ...
    def read_line(self, line: bytes, size: int, environ: dict[str, object]) -> bool: ...
    def read(
        self, head: bytes, start: int, environ: dict[str, object], most: int
    ) -> int: ...

class VarsReader:
    count: int
    has_special: bool
    def __init__(
        self,
        start: dict[str, object],
        kept: Iterable[str],
        special: Iterable[str],
        special_if_given: Iterable[str],
        steady: Iterable[str],
    ) -> None: ...
    def read(self, packet: bytes, start: int, end: int) -> dict[str, object] | None: ...
