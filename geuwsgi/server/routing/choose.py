"""``hash``: the same key always chooses the same item."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.server.routing.kit import Kit, parse_key_values
from geuwsgi.server.routing.visit import Outcome

if TYPE_CHECKING:
    from geuwsgi.server.routing.actions import Action, ActionFactory
    from geuwsgi.server.routing.visit import Visit

_MASK = 0xFFFFFFFF
_MURMUR = 0x5BD1E995


def djb33x(key: bytes) -> int:
    """Bernstein's hash with exclusive or, 32 bits."""
    value = 5381
    for octet in key:
        value = (value * 33 & _MASK) ^ octet
    return value


def murmur2(key: bytes) -> int:
    """MurmurHash2 with seed 0, 32 bits."""
    value = len(key)
    whole = len(key) & ~3
    for place in range(0, whole, 4):
        block = int.from_bytes(key[place : place + 4], "little") * _MURMUR & _MASK
        block = (block ^ block >> 24) * _MURMUR & _MASK
        value = (value * _MURMUR & _MASK) ^ block
    rest = key[whole:]
    if rest:
        value = (value ^ int.from_bytes(rest, "little")) * _MURMUR & _MASK
    value = (value ^ value >> 13) * _MURMUR & _MASK
    return value ^ value >> 15


ALGORITHMS: Mapping[str, Callable[[bytes], int]] = {
    "djb33x": djb33x,
    "murmur2": murmur2,
    "rand": lambda key: random.getrandbits(32),
}


def _hash(argument: str, kit: Kit) -> Action:
    values = parse_key_values(
        argument,
        kit,
        action="hash",
        known=("algo", "items", "key", "var"),
        needed=("items", "key", "var"),
    )
    name = values["algo"].text if "algo" in values else "djb33x"
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise ConfigError(
            f"unknown hash algorithm {name!r}; known are {', '.join(ALGORITHMS)}"
        )
    variable = values["var"].text

    def act(visit: Visit) -> Outcome:
        items = values["items"].render(visit).split(";")
        key = values["key"].render(visit).encode("latin-1")
        visit.environ[variable] = items[algorithm(key) % len(items)]
        return Outcome.NEXT

    return act


CHOICE_ACTIONS: Mapping[str, ActionFactory] = {"hash": _hash}
