"""The options of routers, whatever their kind. No gevent here: the master reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geuwsgi.options import Settings


@dataclass(frozen=True)
class RouterOptions:
    """The options of one kind of router, whatever their prefix."""

    kind: str
    to: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    use_base: str = ""
    use_pattern: str = ""
    use_cache: str | None = None
    use_code_string: str = ""
    use_socket: str | None = None
    subscription_server: tuple[str, ...] = ()
    subscription_fallback_key: str = ""
    resubscribe: tuple[str, ...] = ()
    resubscribe_bind: str = ""
    timeout: float = 60.0
    connect_timeout: float = 0.0
    gracetime: float = 30.0
    max_retries: int = 0
    stats: str = ""
    processes: int = 1
    cheap: bool = False
    quiet: bool = False
    post_buffering: int = 0
    force_key: str = ""
    fallback_on_no_key: bool = False
    xclient: bool = False
    proxy_protocol: bool = False
    sni: bool = False

    @classmethod
    def of(cls, settings: Settings, kind: str) -> RouterOptions:
        """The options of the router ``kind``."""
        return _READERS[kind](settings)

    @property
    def has_destinations(self) -> bool:
        """Whether any option says where to send anything."""
        return bool(
            self.to
            or self.use_base
            or self.use_pattern
            or self.use_cache is not None
            or self.use_code_string
            or self.use_socket is not None
            or self.subscription_server
        )


def _http(settings: Settings) -> RouterOptions:
    options = settings.http
    return RouterOptions(
        "http",
        to=options.http_to,
        fallback=options.http_fallback,
        use_base=options.http_use_base or "",
        use_pattern=options.http_use_pattern or "",
        use_cache=options.http_use_cache,
        use_code_string=options.http_use_code_string or "",
        subscription_server=options.http_subscription_server,
        subscription_fallback_key=options.http_subscription_fallback_key or "",
        resubscribe=options.http_resubscribe,
        timeout=options.http_timeout,
        connect_timeout=options.http_connect_timeout,
        gracetime=options.http_gracetime,
        stats=options.http_stats or "",
        processes=options.http_processes,
        cheap=options.http_cheap,
        quiet=options.http_quiet,
        post_buffering=options.http_post_buffering,
    )


def _fastrouter(settings: Settings) -> RouterOptions:
    options = settings.routers
    return RouterOptions(
        "fastrouter",
        to=options.fastrouter_to,
        fallback=options.fastrouter_fallback,
        use_base=options.fastrouter_use_base or "",
        use_pattern=options.fastrouter_use_pattern or "",
        use_cache=options.fastrouter_use_cache,
        use_code_string=options.fastrouter_use_code_string or "",
        use_socket=options.fastrouter_use_socket,
        subscription_server=options.fastrouter_subscription_server,
        subscription_fallback_key=options.fastrouter_subscription_fallback_key or "",
        resubscribe=options.fastrouter_resubscribe,
        resubscribe_bind=options.fastrouter_resubscribe_bind or "",
        timeout=options.fastrouter_timeout,
        gracetime=options.fastrouter_gracetime,
        max_retries=options.fastrouter_max_retries,
        stats=options.fastrouter_stats or "",
        processes=options.fastrouter_processes,
        cheap=options.fastrouter_cheap,
        quiet=options.fastrouter_quiet,
        post_buffering=options.fastrouter_post_buffering,
        force_key=options.fastrouter_force_key or "",
        fallback_on_no_key=options.fastrouter_fallback_on_no_key,
    )


def _rawrouter(settings: Settings) -> RouterOptions:
    options = settings.routers
    return RouterOptions(
        "rawrouter",
        to=options.rawrouter_to,
        fallback=options.rawrouter_fallback,
        use_base=options.rawrouter_use_base or "",
        use_pattern=options.rawrouter_use_pattern or "",
        use_cache=options.rawrouter_use_cache,
        use_code_string=options.rawrouter_use_code_string or "",
        use_socket=options.rawrouter_use_socket,
        subscription_server=options.rawrouter_subscription_server,
        timeout=options.rawrouter_timeout,
        gracetime=options.rawrouter_gracetime,
        max_retries=options.rawrouter_max_retries,
        stats=options.rawrouter_stats or "",
        processes=options.rawrouter_processes,
        cheap=options.rawrouter_cheap,
        quiet=options.rawrouter_quiet,
        xclient=options.rawrouter_xclient,
        proxy_protocol=options.rawrouter_proxy_protocol,
    )


def _sslrouter(settings: Settings) -> RouterOptions:
    options = settings.routers
    return RouterOptions(
        "sslrouter",
        to=options.sslrouter_to,
        fallback=options.sslrouter_fallback,
        use_base=options.sslrouter_use_base or "",
        use_pattern=options.sslrouter_use_pattern or "",
        use_cache=options.sslrouter_use_cache,
        use_code_string=options.sslrouter_use_code_string or "",
        use_socket=options.sslrouter_use_socket,
        subscription_server=options.sslrouter_subscription_server,
        timeout=options.sslrouter_timeout,
        gracetime=options.sslrouter_gracetime,
        max_retries=options.sslrouter_max_retries,
        stats=options.sslrouter_stats or "",
        processes=options.sslrouter_processes,
        cheap=options.sslrouter_cheap,
        quiet=options.sslrouter_quiet,
        sni=options.sslrouter_sni,
        proxy_protocol=options.sslrouter_proxy_protocol,
    )


_READERS: Mapping[str, Callable[[Settings], RouterOptions]] = {
    "http": _http,
    "fastrouter": _fastrouter,
    "rawrouter": _rawrouter,
    "sslrouter": _sslrouter,
}
