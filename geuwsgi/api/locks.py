"""``uwsgi.lock``, ``unlock``, ``is_locked``, and ``locked`` of our own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import TYPE_CHECKING

from greenlet import getcurrent

from geuwsgi.background.locks import CommonLock
from geuwsgi.cache.log import log_to_stderr
from geuwsgi.server.context import current_exchange

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.background.redislocks import RedisLock
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.shared.recordlocks import RecordLocks


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions, for the locks of the process's generation."""
    locks = Locks(context, context.configuration.settings.shared.locks_server or "")
    for function in (locks.lock, locks.unlock, locks.is_locked, locks.locked):
        setattr(module, function.__name__, function)


class Locks:
    """The functions. Locks are numbered from 0; ``locks = N`` adds N to the first.

    With a ``server`` they are kept there.
    """

    def __init__(self, context: ApiContext, server: str = "") -> None:
        self._context = context
        self._make = _maker(server)
        self._locks: dict[int, CommonLock | RedisLock] = {}
        self._taken: dict[int, set[CommonLock | RedisLock]] = {}

    def lock(self, number: int = 0, timeout: float | None = None, /) -> None:
        """Wait for a lock and take it.

        Only the calling greenlet waits. A lock taken by a request is given back when
        the request ends. Raises ValueError for a number there is not, TimeoutError
        after ``timeout`` seconds, RuntimeError if this greenlet has it already.
        """
        lock = self._find(number)
        if not lock.acquire(timeout_s=timeout):
            raise TimeoutError(f"lock {number} was not free within {timeout} seconds")
        exchange = current_exchange()
        if exchange is not None and exchange.greenlet is getcurrent():
            self._give_back_at_end(exchange, lock)

    def unlock(self, number: int = 0, /) -> None:
        """Give a lock back. One that this process does not have stays as it is."""
        self._find(number).release()

    def is_locked(self, number: int = 0, /) -> bool:
        """Tell whether anybody has the lock."""
        return self._find(number).is_taken()

    def locked(
        self, number: int = 0, timeout: float | None = None
    ) -> AbstractContextManager[None]:
        """Return a context manager that holds the lock (geuwsgi).

        Entering raises TimeoutError if it is not free within ``timeout`` seconds.
        """
        return self._find(number).held(timeout_s=timeout)

    def _give_back_at_end(
        self, exchange: Exchange, lock: CommonLock | RedisLock
    ) -> None:
        taken = self._taken.get(id(exchange))
        if taken is not None:
            taken.add(lock)
            return
        taken = self._taken[id(exchange)] = {lock}
        owner = getcurrent()

        def end() -> None:
            for lock in self._taken.pop(id(exchange), ()):
                if lock.owner is owner and lock.release():
                    sys.stderr.write(
                        f"{exchange.method} {exchange.environ.get('REQUEST_URI')} ended"
                        f" with lock {lock.number} taken; it was given back\n"
                    )

        exchange.at_end(end)

    def _find(self, number: int) -> CommonLock | RedisLock:
        if self._context.is_spooler:
            raise ValueError("The spooler cannot lock/unlock resources")
        lock = self._locks.get(number)
        if lock is None:
            records = self._context.commons.locks
            if records is None or not 0 <= number < records.count:
                raise ValueError("Invalid lock number")
            lock = self._locks[number] = self._make(records, number)
        return lock


def _maker(server: str) -> Callable[[RecordLocks, int], CommonLock | RedisLock]:
    """What makes the lock of a number."""
    if not server:
        return CommonLock
    from geuwsgi.background.redislocks import RedisLock
    from geuwsgi.cache.redisclients import RedisClients

    clients = RedisClients(server)
    return lambda records, number: RedisLock(clients, number, log=log_to_stderr)
