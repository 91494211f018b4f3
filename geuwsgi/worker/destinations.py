"""From settings to the places where a router sends what comes in.

Part of `geuwsgi.worker.router`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from geuwsgi.errors import ConfigError
from geuwsgi.routers.nodes import Table, find_algorithm
from geuwsgi.routers.options import RouterOptions
from geuwsgi.routers.plan import own_socket
from geuwsgi.routers.routes import (
    Finder,
    NamedNodes,
    Routes,
    StaticNodes,
    SubscribedNodes,
    by_base,
    by_cache,
    by_code,
    by_pattern,
)

if TYPE_CHECKING:
    from geuwsgi.background.commons import Commons
    from geuwsgi.options import Settings


class Destinations:
    """Reads the options of one router that say where things go."""

    def __init__(
        self,
        settings: Settings,
        options: RouterOptions,
        table: Table,
        *,
        commons: Commons,
        report: Callable[[str], None],
        has_subscriptions: bool,
    ) -> None:
        self._settings = settings
        self._options = options
        self._kind = options.kind
        self._table = table
        self._commons = commons
        self._report = report
        self._has_subscriptions = has_subscriptions

    def routes(self, *, load_code: bool) -> tuple[Routes, StaticNodes]:
        """uWSGI's order: cache, pattern, subscriptions, base, code, sockets, nodes.

        Raises ConfigError.
        """
        options = self._options
        algorithm = self._algorithm()
        static = StaticNodes(self._static_addresses(), clock=monotonic)
        finders: list[Finder] = []
        if options.use_cache is not None:
            finders.append(NamedNodes(by_cache(self._cache_reader())))
        if options.use_pattern:
            finders.append(NamedNodes(by_pattern(options.use_pattern)))
        if self._has_subscriptions:
            finders.append(
                SubscribedNodes(
                    self._table,
                    clock=monotonic,
                    algorithm=algorithm,
                    fallback_key=options.subscription_fallback_key,
                )
            )
        if options.use_base:
            finders.append(NamedNodes(by_base(options.use_base)))
        if options.use_code_string:
            call = self._code(load=load_code)
            finders.append(NamedNodes(by_code(call, self._report)))
        finders.append(static)
        routes = Routes(
            finders,
            StaticNodes(options.fallback, clock=monotonic),
            clock=monotonic,
            grace_s=options.gracetime,
            strict_key=self._kind == "fastrouter" and not options.fallback_on_no_key,
            most=options.max_retries + 1 if options.max_retries else 0,
        )
        return routes, static

    def _static_addresses(self) -> list[str]:
        options = self._options
        addresses = list(options.to)
        if options.use_socket is not None and self._kind != "http":
            addresses.append(
                own_socket(
                    self._settings, options.use_socket, f"{self._kind}-use-socket"
                )
            )
        return addresses

    def _algorithm(self) -> str:
        name = self._settings.subscription.subscription_algo
        try:
            return find_algorithm(name) if name else "wrr"
        except ConfigError as exc:
            raise ConfigError(f"subscription-algo: {exc.message}") from exc

    def _cache_reader(self) -> Callable[[bytes], bytes | None]:
        name = self._options.use_cache or ""
        if name in ("1", "true"):
            name = ""
        cache = self._commons.caches.named(name)
        if cache is None:
            what = f"cache {name!r}" if name else "cache"
            raise ConfigError(f"{self._kind}-use-cache: there is no {what}")
        found = cache

        def get(key: bytes) -> bytes | None:
            return found.get(key)

        return get

    def _code(self, *, load: bool) -> Callable[[str], object]:
        option = f"{self._kind}-use-code-string"
        text = self._options.use_code_string
        modifier1, _, rest = text.partition(":")
        source, _, function = rest.rpartition(":")
        if modifier1 != "0" or not source or not function:
            raise ConfigError(
                f"{option}: it is 0:file.py:function or 0:module:function, not {text!r}"
            )
        if not load:
            if source.endswith(".py") and not os.path.exists(source):
                raise ConfigError(f"{option}: there is no file {source!r}")
            return lambda key: None
        try:
            found: Any = getattr(_load(source), function)
        except (ImportError, AttributeError, OSError) as exc:
            raise ConfigError(f"{option}: cannot find {text!r}: {exc}") from exc

        def call(key: str) -> object:
            # As bytes, as uWSGI hands them to Python.
            return found(key.encode("latin-1", "replace"))

        return call


def _load(source: str) -> Any:
    if not source.endswith(".py"):
        return importlib.import_module(source)
    spec = importlib.util.spec_from_file_location("uwsgi_router_code", source)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {source!r}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
