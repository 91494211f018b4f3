"""Connections to a Redis or Valkey server, for the greenlets of one process.

redis-py's own pool asks the kernel whether a connection is still good before each
command, which under gevent is a turn of the hub. Here each client owns one connection
for good, and a list of clients is the pool. What fails is thrown away; after a failed
connect nobody tries again for a moment, so that a dead server costs a site microseconds
and not timeouts.

The package ``redis`` (or ``valkey``) is imported when the first client is made: it takes
0.15 seconds and 20 MiB.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent.lock

from geuwsgi.errors import StartupError
from geuwsgi.protocol.urls import without_secrets

_PAUSE_S = 0.5
_MOST_CLIENTS = 64


class ServerUnavailable(Exception):
    """The server cannot be reached, or did not answer in time."""


def find_package(url: str) -> Any:
    """Return the package that speaks to ``url``. Raises StartupError."""
    names = ("valkey", "redis") if url.startswith("valkey") else ("redis", "valkey")
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise StartupError(
        f"{without_secrets(url)} wants the package redis or valkey:"
        " pip install 'geuwsgi[redis]'"
    )


def plain_url(url: str, package: Any) -> str:
    """Return ``url`` with the scheme the package knows."""
    scheme, _, rest = url.partition("://")
    name = package.__name__
    if scheme in ("redis", "valkey"):
        return f"{name}://{rest}"
    if scheme in ("rediss", "valkeys"):
        return f"{name}s://{rest}"
    return url


class RedisClients:
    """Clients for ``url``; each method that asks the server blocks its greenlet.

    Made before the fork and usable in every process: connections belong to the process
    that made them.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        #: The URL for messages: without the password.
        self.shown_url = without_secrets(url)
        self._timeout_s = timeout_s
        self._clock = clock
        self._package: Any = None
        self._pid = 0
        self._free: list[Any] = []
        self._slots = gevent.lock.BoundedSemaphore(_MOST_CLIENTS)
        self._down_until = 0.0

    @property
    def package(self) -> Any:
        if self._package is None:
            self._package = find_package(self.url)
        return self._package

    def make(self, *, timeout_s: float | None) -> Any:
        """Return a fresh client of one connection. ``timeout_s`` None waits for ever.

        Raises ServerUnavailable if the URL is malformed.
        """
        package = self.package
        name = "Redis" if package.__name__ == "redis" else "Valkey"
        try:
            return getattr(package, name).from_url(
                plain_url(self.url, package),
                single_connection_client=timeout_s is not None,
                socket_timeout=timeout_s,
                socket_connect_timeout=self._timeout_s,
                health_check_interval=0,
                retry=None,
                retry_on_timeout=False,
            )
        except ValueError:
            # What the package says of it may hold a part of the password.
            raise ServerUnavailable(f"malformed URL {self.shown_url!r}") from None

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Lend a client. Raises ServerUnavailable for whatever the connection does."""
        self._enter_process()
        if self._clock() < self._down_until:
            raise ServerUnavailable(
                f"{self.shown_url} could not be reached a moment ago"
            )
        if not self._slots.acquire(timeout=self._timeout_s):
            raise ServerUnavailable(f"all connections to {self.shown_url} are in use")
        pid = self._pid
        client = None
        try:
            client = self._free.pop() if self._free else self._connect()
            yield client
        except BaseException as exc:
            # Whatever it was, an answer may still be on its way.
            if client is not None and not self._is_answer(exc):
                _close(client)
                client = None
            if self._is_failure(exc):
                raise ServerUnavailable(f"{self.shown_url}: {exc}") from exc
            raise
        finally:
            if pid == self._pid:
                self._slots.release()
                if client is not None:
                    self._free.append(client)

    def try_twice(self, function: Callable[[Any], Any]) -> Any:
        """Call ``function`` with a client, again if its connection turns out dead.

        For what may be done twice. Raises ServerUnavailable.
        """
        had_free = bool(self._free) and self._pid == os.getpid()
        try:
            with self.client() as client:
                return function(client)
        except ServerUnavailable:
            if not had_free:
                raise
        # The server was started anew: all that were waiting are as dead as that one.
        self.forget()
        with self.client() as client:
            return function(client)

    def forget(self) -> None:
        """Close all free connections."""
        while self._free:
            _close(self._free.pop())

    def _enter_process(self) -> None:
        if self._pid != os.getpid():
            # Connections of another process are not ours to use, nor to close.
            self._pid = os.getpid()
            self._free = []
            self._slots = gevent.lock.BoundedSemaphore(_MOST_CLIENTS)
            self._down_until = 0.0

    def _connect(self) -> Any:
        client = self.make(timeout_s=self._timeout_s)
        try:
            client.ping()
        except BaseException as exc:
            if self._is_failure(exc):
                self._down_until = self._clock() + _PAUSE_S
            _close(client)
            raise
        return client

    def _is_failure(self, exc: BaseException) -> bool:
        errors = self.package.exceptions
        return isinstance(exc, errors.ConnectionError | errors.TimeoutError | OSError)

    def _is_answer(self, exc: BaseException) -> bool:
        return isinstance(exc, self.package.exceptions.ResponseError)


def _close(client: Any) -> None:
    try:
        client.close()
    except Exception:
        return
