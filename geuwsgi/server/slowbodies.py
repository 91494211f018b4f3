"""Requests that hold a core while their body trickles in.

Small bodies are read before a core is taken; a longer one, or one in chunks, is read by
the application, which holds its core meanwhile. Each byte of it gives the next one time,
so a few hundred clients that send one byte now and then could keep all cores of a
worker for nothing. So their cores are lent (`geuwsgi.server.lending`) as long as that is
bounded; beyond, bodies below the rate that small ones must keep are given up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from geuwsgi.server.lending import GRACE_S, LEAST_RATE, grace_s

if TYPE_CHECKING:
    from geuwsgi.net.stream import Stream
    from geuwsgi.server.cores import Cores
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.lending import Lending


class SlowBodies:
    """Finds them, by looking at all requests once a second.

    A request is measured from the first look that finds it waiting for its body; one
    that does something else in between begins anew.
    """

    __slots__ = ("_report", "_seen")

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._seen: dict[Exchange, tuple[float, int]] = {}

    def give_up(self, cores: Cores, lending: Lending, now: float) -> None:
        """Fail the waits of slow bodies if no core is left. Call it in the hub."""
        if not lending.is_needed:
            self._seen.clear()
            return
        exchanges = [*cores.holders.values(), *lending.exchanges]
        slow = self.look(exchanges, now, grace_s(lending))
        if cores.free and not lending.is_full:
            return
        for stream in slow:
            stream.expire()
        if slow:
            self._report(
                f"all cores are busy: {len(slow)} requests whose bodies "
                "come too slowly are given up"
            )

    def look(
        self, exchanges: Iterable[Exchange], now: float, grace: float = GRACE_S
    ) -> list[Stream]:
        """Return the streams of ``exchanges`` to be given up."""
        before = self._seen
        self._seen = {}
        slow = []
        for exchange in exchanges:
            arrived = _arrived(exchange)
            if arrived < 0:
                continue
            since, first = self._seen[exchange] = before.get(exchange, (now, arrived))
            if arrived - first < (now - since - grace) * LEAST_RATE:
                slow.append(exchange.stream)
        return slow


def _arrived(exchange: Exchange) -> int:
    """How much of the body has come; -1 if the request does not wait for it."""
    body = exchange.input
    if body is None or body.complete or exchange.upgraded:
        return -1
    stream = exchange.stream
    if not (stream.deadline and stream.is_waiting):
        return -1
    arrived: int = getattr(body, "arrived", -1)
    return arrived
