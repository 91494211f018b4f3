"""One option on its way from its source to the settings."""

from __future__ import annotations


class Pair:
    """One option on its way. ``is_raw`` values take no part in substitution.

    ``ancestry`` are the files inherited, and the options made of others, that led to
    it; none of them may lead to itself.
    """

    __slots__ = ("ancestry", "is_raw", "name", "origin", "value")

    def __init__(
        self,
        name: str,
        value: str | None,
        origin: str,
        *,
        is_raw: bool = False,
        ancestry: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.value = value
        self.origin = origin
        self.is_raw = is_raw
        self.ancestry = ancestry
