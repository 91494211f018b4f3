"""Locks on a Redis or Valkey server (``locks-server``), for many machines.

A lock is a key with a token of its holder, which ends by itself ``LEASE_S`` after the
holder last renewed it: a machine that dies gives its locks back. Who holds one renews
it three times as often. If that fails for so long, the lock is lost while it is held:
the log says so, and somebody else may have it. Inside a process the greenlets queue.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import gevent.lock
from greenlet import getcurrent, greenlet

from geuwsgi.cache.redisclients import RedisClients, ServerUnavailable

LEASE_S = 10.0
_POLL_S = (0.005, 0.01, 0.02, 0.05)
_COMPLAINT_EVERY_S = 1.0

_RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0
"""
_RENEW = """
if redis.call('get', KEYS[1]) == ARGV[1] then
  return redis.call('pexpire', KEYS[1], ARGV[2])
end
return 0
"""


class RedisLock:
    """One lock as the greenlets of one process see it; like ``CommonLock``.

    Methods block their greenlet. Without the server nobody gets a lock.
    """

    def __init__(
        self,
        clients: RedisClients,
        number: int,
        *,
        log: Callable[[str], object],
        lease_s: float = LEASE_S,
    ) -> None:
        self.number = number
        self._clients = clients
        self._name = f"geuwsgi:lock:{number}"
        self._log = log
        self._lease_s = lease_s
        self._queue = gevent.lock.BoundedSemaphore(1)
        self._owner: greenlet | None = None
        self._token = ""
        self._renewing: gevent.Greenlet[..., None] | None = None
        self._complained = -_COMPLAINT_EVERY_S

    @property
    def owner(self) -> greenlet | None:
        """The greenlet of this process that has it."""
        return self._owner

    def acquire(self, *, timeout_s: float | None = None) -> bool:
        """Take the lock; False if it was not free within ``timeout_s``.

        Raises RuntimeError if this very greenlet has it already.
        """
        if self._owner is getcurrent():
            raise RuntimeError(f"this greenlet has lock {self.number} already")
        until = None if timeout_s is None else time.monotonic() + timeout_s
        if not self._queue.acquire(timeout=timeout_s):
            return False
        taken = False
        try:
            taken = self._compete(until)
            if taken:
                self._owner = getcurrent()
                self._renewing = gevent.spawn(self._renew, self._token)
        finally:
            if not taken:
                self._queue.release()
        return taken

    def release(self) -> bool:
        """Give the lock back, whoever of this process took it; False if nobody did."""
        if self._owner is None:
            return False
        token = self._token
        if self._renewing is not None:
            self._renewing.kill(block=False)
        try:
            if not self._ask(lambda c: c.eval(_RELEASE, 1, self._name, token)):
                self._log(f"lock {self.number} was lost before it was given back")
        finally:
            self._owner = self._renewing = None
            self._queue.release()
        return True

    def is_taken(self) -> bool:
        """Tell whether anybody has it; True without the server, when nobody can."""
        if self._owner is not None:
            return True
        found = self._ask(lambda client: client.exists(self._name))
        return found is None or bool(found)

    @contextmanager
    def held(self, *, timeout_s: float | None = None) -> Iterator[None]:
        """Hold the lock for a ``with`` block. Raises TimeoutError."""
        if not self.acquire(timeout_s=timeout_s):
            raise TimeoutError(
                f"lock {self.number} was not free within {timeout_s} seconds"
            )
        try:
            yield
        finally:
            self.release()

    def _compete(self, until: float | None) -> bool:
        self._token = secrets.token_hex(16)
        lease_ms = int(1000 * self._lease_s)
        attempt = 0
        while True:
            # A lost answer may have been a yes, which the token then shows.
            taken = self._ask(
                lambda client: (
                    client.set(self._name, self._token, nx=True, px=lease_ms)
                    or client.get(self._name) == self._token.encode()
                )
            )
            if taken:
                return True
            pause = _POLL_S[min(attempt, len(_POLL_S) - 1)]
            if until is not None:
                pause = min(pause, until - time.monotonic())
                if pause <= 0:
                    return False
            gevent.sleep(pause)
            attempt += 1

    def _renew(self, token: str) -> None:
        lease_ms = int(1000 * self._lease_s)
        renewed = time.monotonic()
        while True:
            gevent.sleep(self._lease_s / 3)
            found = self._ask(
                lambda client: client.eval(_RENEW, 1, self._name, token, lease_ms)
            )
            if found:
                renewed = time.monotonic()
            elif found == 0 or time.monotonic() - renewed > self._lease_s:
                self._log(f"lock {self.number} is lost: another one may have it")
                return

    def _ask(self, function: Callable[[Any], Any]) -> Any:
        """Ask the server; None if it cannot be reached."""
        try:
            return self._clients.try_twice(function)
        except ServerUnavailable as exc:
            now = time.monotonic()
            if now - self._complained >= _COMPLAINT_EVERY_S:
                self._complained = now
                self._log(f"lock {self.number}: {exc}")
            return None
