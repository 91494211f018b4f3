"""Fastrouter, rawrouter and sslrouter."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS, Takes


class Routers(Section):
    """Fastrouter, rawrouter and sslrouter."""

    fastrouter: tuple[str, ...] = option(
        "uwsgi-protocol load balancer gateway on an address", TEXTS
    )
    fastrouter_buffer_size: int = option(
        "buffer size (default page size)", INT, at_least=0
    )
    fastrouter_cheap: bool = option("do not accept until a node subscribes", FLAG)
    fastrouter_defer_connect_timeout: float = option(
        "timeout of deferred connects", SECONDS, at_least=0, since="2.1"
    )
    fastrouter_emperor_socket: str | None = option(
        "emperor socket receiving spawn requests", TEXT, since="2.1"
    )
    fastrouter_events: int = option("events per loop", INT, at_least=0)
    fastrouter_fallback: tuple[str, ...] = option("backend of last resort", TEXTS)
    fastrouter_fallback_on_no_key: bool = option(
        "use fallback also when the key is unknown", FLAG
    )
    fastrouter_force_key: str | None = option(
        "fixed routing key without parsing", TEXT, since="2.1"
    )
    fastrouter_gid: str | None = option("gid of the gateway", TEXT)
    fastrouter_gracetime: float = option(
        "seconds before retrying a dead fixed backend",
        SECONDS,
        default=30.0,
        at_least=0,
    )
    fastrouter_harakiri: float = option("harakiri of the gateway", SECONDS, at_least=0)
    fastrouter_max_retries: int = option(
        "maximum retries", INT, at_least=0, since="2.1"
    )
    fastrouter_post_buffering: int = option(
        "buffer bodies above N bytes", INT, at_least=0
    )
    fastrouter_processes: int = option(
        "number of gateway processes",
        INT,
        default=1,
        aliases=("fastrouter-workers",),
        at_least=0,
    )
    fastrouter_quiet: bool = option(
        "do not log failed backends (needs a value)", FLAG, takes=Takes.VALUE
    )
    fastrouter_resubscribe: tuple[str, ...] = option(
        "forward subscriptions upstream", TEXTS
    )
    fastrouter_resubscribe_bind: str | None = option(
        "local address used when forwarding", TEXT
    )
    fastrouter_stats: str | None = option(
        "stats server of the gateway",
        TEXT,
        aliases=(
            "fastrouter-ss",
            "fastrouter-stats-server",
        ),
    )
    fastrouter_subscription_fallback_key: str | None = option(
        "subscription key used as fallback", TEXT
    )
    fastrouter_subscription_server: tuple[str, ...] = option(
        "subscription listener address", TEXTS
    )
    fastrouter_timeout: float = option(
        "timeout (default 60)", SECONDS, default=60.0, at_least=0
    )
    fastrouter_to: tuple[str, ...] = option(
        "fixed backend, repeat for balancing", TEXTS
    )
    fastrouter_uid: str | None = option("uid of the gateway", TEXT)
    fastrouter_use_base: str | None = option(
        "directory of unix sockets named after the key", TEXT
    )
    fastrouter_use_cache: str | None = option(
        "find backends in a cache (key = host)", TEXT, takes=Takes.MAYBE
    )
    fastrouter_use_code_string: str | None = option(
        "find backends by running code in a language plugin", TEXT
    )
    fastrouter_use_pattern: str | None = option(
        "backend address pattern with %s for the key", TEXT
    )
    fastrouter_use_socket: str | None = option(
        "use a worker socket as backend", TEXT, takes=Takes.MAYBE
    )
    fastrouter_zerg: tuple[str, ...] = option(
        "take the socket from a zerg server", TEXTS
    )
    rawrouter: tuple[str, ...] = option("TCP-level proxy gateway", TEXTS)
    rawrouter_buffer_size: int = option("buffer size", INT, at_least=0)
    rawrouter_cheap: bool = option("cheap mode", FLAG)
    rawrouter_events: int = option("events per loop", INT, at_least=0)
    rawrouter_fallback: tuple[str, ...] = option("backend of last resort", TEXTS)
    rawrouter_gracetime: float = option(
        "seconds before retrying a dead backend", SECONDS, default=30.0, at_least=0
    )
    rawrouter_harakiri: float = option("harakiri of the gateway", SECONDS, at_least=0)
    rawrouter_max_retries: int = option(
        "maximum retries on other nodes", INT, at_least=0
    )
    rawrouter_processes: int = option(
        "number of gateway processes",
        INT,
        default=1,
        aliases=("rawrouter-workers",),
        at_least=0,
    )
    rawrouter_quiet: bool = option(
        "do not log failed backends (needs a value)", FLAG, takes=Takes.VALUE
    )
    rawrouter_stats: str | None = option(
        "stats server of the gateway",
        TEXT,
        aliases=(
            "rawrouter-ss",
            "rawrouter-stats-server",
        ),
    )
    rawrouter_subscription_server: tuple[str, ...] = option(
        "subscription listener", TEXTS
    )
    rawrouter_timeout: float = option("timeout", SECONDS, default=60.0, at_least=0)
    rawrouter_to: tuple[str, ...] = option("fixed backend", TEXTS)
    rawrouter_use_base: str | None = option("directory of unix sockets", TEXT)
    rawrouter_use_cache: str | None = option(
        "find backends in a cache", TEXT, takes=Takes.MAYBE
    )
    rawrouter_use_code_string: str | None = option("find backends by code", TEXT)
    rawrouter_use_pattern: str | None = option("backend pattern", TEXT)
    rawrouter_use_socket: str | None = option(
        "use a worker socket as backend", TEXT, takes=Takes.MAYBE
    )
    rawrouter_xclient: bool = option(
        "send a SMTP XCLIENT line with the client address", FLAG
    )
    rawrouter_zerg: tuple[str, ...] = option(
        "take the socket from a zerg server", TEXTS
    )
    sslrouter: tuple[str, ...] = option("TLS-terminating TCP proxy gateway", TEXTS)
    sslrouter_buffer_size: int = option("buffer size", INT, at_least=0)
    sslrouter_cheap: bool = option("cheap mode", FLAG)
    sslrouter_events: int = option("events per loop", INT, at_least=0)
    sslrouter_fallback: tuple[str, ...] = option("backend of last resort", TEXTS)
    sslrouter_gracetime: float = option(
        "seconds before retrying a dead backend", SECONDS, default=30.0, at_least=0
    )
    sslrouter_harakiri: float = option("harakiri of the gateway", SECONDS, at_least=0)
    sslrouter_max_retries: int = option(
        "maximum retries on other nodes", INT, at_least=0
    )
    sslrouter_processes: int = option(
        "number of gateway processes",
        INT,
        default=1,
        aliases=("sslrouter-workers",),
        at_least=0,
    )
    sslrouter_quiet: bool = option(
        "do not log failed backends (needs a value)", FLAG, takes=Takes.VALUE
    )
    sslrouter_session_context: str | None = option("TLS session id context", TEXT)
    sslrouter_sni: bool = option("choose backends by TLS server name", FLAG)
    sslrouter_stats: str | None = option(
        "stats server of the gateway",
        TEXT,
        aliases=(
            "sslrouter-ss",
            "sslrouter-stats-server",
        ),
    )
    sslrouter_subscription_server: tuple[str, ...] = option(
        "subscription listener", TEXTS
    )
    sslrouter_timeout: float = option("timeout", SECONDS, default=60.0, at_least=0)
    sslrouter_to: tuple[str, ...] = option("fixed backend", TEXTS)
    sslrouter_use_base: str | None = option("directory of unix sockets", TEXT)
    sslrouter_use_cache: str | None = option(
        "find backends in a cache", TEXT, takes=Takes.MAYBE
    )
    sslrouter_use_code_string: str | None = option("find backends by code", TEXT)
    sslrouter_use_pattern: str | None = option("backend pattern", TEXT)
    sslrouter_use_socket: str | None = option(
        "use a worker socket as backend", TEXT, takes=Takes.MAYBE
    )
    sslrouter_zerg: tuple[str, ...] = option(
        "take the socket from a zerg server", TEXTS
    )
    sslrouter2: tuple[str, ...] = option("same in keyval form", TEXTS)
