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
    """Bernstein's hash with exclusive or, 32 bits; octets have signs, as in uWSGI."""
    value = 5381
    for octet in key:
        value = (value * 33 & _MASK) ^ _signed(octet)
    return value


def murmur2(key: bytes) -> int:
    """MurmurHash2 with seed 0, 32 bits, as uWSGI computes it.

    What is left behind the last whole block is not taken from the end of the key there
    but from its beginning. A site that moves here must find its shards again.
    """
    value = len(key)
    for place in range(0, len(key) & ~3, 4):
        block = int.from_bytes(key[place : place + 4], "little") * _MURMUR & _MASK
        block = (block ^ block >> 24) * _MURMUR & _MASK
        value = (value * _MURMUR & _MASK) ^ block
    rest = len(key) & 3
    if rest:
        for place in range(rest):
            value ^= _signed(key[place]) << 8 * place & _MASK
        value = value * _MURMUR & _MASK
    value = (value ^ value >> 13) * _MURMUR & _MASK
    return value ^ value >> 15


def _signed(octet: int) -> int:
    return octet if octet < 128 else octet | 0xFFFFFF00


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
