"""Cores of requests that wait for their peers, lent to requests that have none.

A core bounds how much of the application runs at once. While a request waits for the
next bytes of its body, or for its reader to take some, nothing of it runs: with its
core kept, a few slow peers would hold up everybody. So when the last core is taken,
those of such waits are given to others. When the wait is over the request has to have a
core again before it goes on; it stands in line like the rest.

That is not without end: the requests that have lent their cores are inside the
application, with what it keeps for them, so their number is bounded, and what the
server keeps for them, too.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from geuwsgi.wsgi.input import BodyInput

if TYPE_CHECKING:
    from geuwsgi.server.cores import Cores
    from geuwsgi.server.exchange import Exchange

#: Bytes a second that a peer has to send or take. No real link is slower.
LEAST_RATE = 1024
#: Seconds that a peer may pause before its rate counts, and when no more cores can be
#: lent.
GRACE_S = 5.0
_SHORT_GRACE_S = 1.0

#: In place of the number of an exchange's core: it is lent.
LENT = -2

#: Requests that may have lent their core, for each core, but not fewer than so many.
_MOST_A_CORE = 8
_MOST_AT_LEAST = 256
#: Bytes that they may keep together, and what one is held to keep at least.
_MOST_BYTES = 256 << 20
_LEAST_KEPT = 1 << 14

#: Seconds between two looks while all cores are busy, and how much longer than a look
#: itself the pause is at least: with 10,000 cores one takes 2 ms.
_LOOK_EVERY_S = 0.01
_PAUSE_RATIO = 20


def grace_s(lending: Lending) -> float:
    """Return how many seconds a peer may pause before its rate counts."""
    return _SHORT_GRACE_S if lending.is_full else GRACE_S


class Lending:
    """Finds cores to lend while none of ``cores`` is free.

    ``lent`` are the requests without their core, by their identity.
    """

    __slots__ = (
        "_cores",
        "_is_looking",
        "_loop",
        "_most",
        "_most_bytes",
        "_timer",
        "lent",
        "size",
    )

    def __init__(
        self,
        cores: Cores,
        loop: Any,
        most: int = _MOST_AT_LEAST,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._cores = cores
        self._loop = loop
        self._most = max(most, cores.count * _MOST_A_CORE)
        self._most_bytes = most_bytes
        self._timer: Any = None
        self._is_looking = False
        self.lent: dict[int, tuple[Exchange, int]] = {}
        self.size = 0

    @property
    def exchanges(self) -> list[Exchange]:
        """The requests that have lent their core."""
        return [exchange for exchange, _ in self.lent.values()]

    @property
    def is_full(self) -> bool:
        """Whether no more cores are lent."""
        return self.size >= self._most_bytes or len(self.lent) >= self._most

    @property
    def is_needed(self) -> bool:
        """Whether cores are, or would be, used up by slow peers."""
        return bool(self.lent) or not self._cores.free

    def begin(self) -> None:
        """Look for cores to lend until one is free. Call it when the last is taken."""
        if not self._is_looking:
            self._is_looking = True
            # Not at once: who took the last core has not had its turn.
            self._loop.run_callback(self._look)

    def returns(self, exchange: Exchange) -> None:
        """``exchange`` goes on, or has ended."""
        found = self.lent.pop(id(exchange), None)
        if found is not None:
            self.size -= found[1]
            if isinstance(exchange.input, BodyInput):
                exchange.input.after_wait = None

    def _look(self) -> None:
        began = perf_counter()
        cores = self._cores
        if not cores.free:
            # Some more than are asked for, so that not each request comes by here.
            self._lend(cores.waiting + 1 + cores.count // 4)
        if cores.free and not cores.waiting:
            self._is_looking = False
            return
        pause = max(_LOOK_EVERY_S, (perf_counter() - began) * _PAUSE_RATIO)
        if self._timer is not None:
            self._timer.close()
        self._timer = self._loop.timer(pause)
        self._timer.start(self._look)

    def _lend(self, wanted: int) -> None:
        for exchange in list(self._cores.holders.values()):
            if not wanted or self.is_full:
                return
            if not waits_for_its_peer(exchange):
                continue
            wanted -= 1
            kept = _LEAST_KEPT + exchange.stream.unsent
            if exchange.headers_sent and not exchange._left:
                # However much is sent: it goes as a whole.
                kept += exchange.body_bytes
            body = exchange.input
            if isinstance(body, BodyInput):
                kept += body.arrived
                body.after_wait = exchange.take_lent_core
            self.lent[id(exchange)] = exchange, kept
            self.size += kept
            core = exchange.core
            exchange.core = LENT
            self._cores.lend(core)

    def stop(self) -> None:
        """Lend nothing more."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None


def waits_for_its_peer(exchange: Exchange) -> bool:
    """Whether nothing of the request runs before its peer sends or takes bytes.

    Websockets wait for their peers all their life: they keep their cores, which bound
    how many there are.
    """
    return (
        exchange.core >= 0
        and not exchange.upgraded
        and exchange.stream.is_parked(exchange.greenlet)
    )
