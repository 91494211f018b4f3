"""``map-socket``: sockets on which only some workers accept."""

from __future__ import annotations

from collections.abc import Iterable

from geuwsgi.errors import ConfigError


def sockets_of_others(lines: Iterable[str], worker_id: int, sockets: int) -> set[int]:
    """Return the sockets, of so many, that are mapped to workers other than this one.

    A line is ``socket:worker,worker``; both are numbers, those of sockets begin with
    0. Raises ConfigError for a line that is malformed.
    """
    left: set[int] = set()
    mine: set[int] = set()
    for line in lines:
        number, colon, workers = line.partition(":")
        numbers = [text.strip() for text in workers.split(",")]
        if not colon or not all(text.isdigit() for text in (number.strip(), *numbers)):
            raise ConfigError(f"map-socket needs socket:worker,worker: {line!r}")
        socket = int(number)
        if socket >= sockets:
            raise ConfigError(f"map-socket: there is no socket {socket}")
        (mine if worker_id in map(int, numbers) else left).add(socket)
    return left - mine
