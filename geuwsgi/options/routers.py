"""Fastrouter, rawrouter and sslrouter."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS, Takes


class Routers(Section):
    """Fastrouter, rawrouter and sslrouter."""

    fastrouter: tuple[str, ...] = option(
        "balance uwsgi requests over backends, on this address", TEXTS
    )
    fastrouter_cheap: bool = option("accept nothing until a backend subscribed", FLAG)
    fastrouter_defer_connect_timeout: float = option(
        "wait this many seconds for a postponed connection to a backend",
        SECONDS,
        at_least=0,
        since="2.1",
    )
    fastrouter_emperor_socket: str | None = option(
        "ask the emperor on this socket to start backends", TEXT, since="2.1"
    )
    fastrouter_fallback: tuple[str, ...] = option(
        "send requests here if no backend answers", TEXTS
    )
    fastrouter_fallback_on_no_key: bool = option(
        "send requests with an unknown key to the fallback", FLAG
    )
    fastrouter_force_key: str | None = option(
        "route every request by this key", TEXT, since="2.1"
    )
    fastrouter_gracetime: float = option(
        "leave a dead backend alone for this many seconds",
        SECONDS,
        default=30.0,
        at_least=0,
    )
    fastrouter_max_retries: int = option(
        "try this many backends before giving up", INT, at_least=0, since="2.1"
    )
    fastrouter_post_buffering: int = option(
        "buffer bodies above this many bytes in a file", INT, at_least=0
    )
    fastrouter_processes: int = option(
        "run this many router processes",
        INT,
        default=1,
        aliases=("fastrouter-workers",),
        at_least=0,
    )
    fastrouter_quiet: bool = option(
        "do not log backends that fail", FLAG, takes=Takes.VALUE
    )
    fastrouter_resubscribe: tuple[str, ...] = option(
        "forward subscriptions to this server", TEXTS
    )
    fastrouter_resubscribe_bind: str | None = option(
        "forward subscriptions from this address", TEXT
    )
    fastrouter_stats: str | None = option(
        "serve statistics of the router on this address",
        TEXT,
        aliases=(
            "fastrouter-ss",
            "fastrouter-stats-server",
        ),
    )
    fastrouter_subscription_fallback_key: str | None = option(
        "use this key when another has no backend", TEXT
    )
    fastrouter_subscription_server: tuple[str, ...] = option(
        "take subscriptions on this address", TEXTS
    )
    fastrouter_timeout: float = option(
        "wait this many seconds for clients and backends",
        SECONDS,
        default=60.0,
        at_least=0,
    )
    fastrouter_to: tuple[str, ...] = option("send requests to this backend", TEXTS)
    fastrouter_use_base: str | None = option(
        "send requests to the socket in this directory that bears the key's name", TEXT
    )
    fastrouter_use_cache: str | None = option(
        "look backends up in a cache", TEXT, takes=Takes.MAYBE
    )
    fastrouter_use_code_string: str | None = option(
        "ask this code for the backend", TEXT
    )
    fastrouter_use_pattern: str | None = option(
        "make the backend's address of this pattern and the key", TEXT
    )
    fastrouter_use_socket: str | None = option(
        "send requests to a socket of this instance", TEXT, takes=Takes.MAYBE
    )
    fastrouter_zerg: tuple[str, ...] = option(
        "take the router's socket from a zerg server", TEXTS
    )
    rawrouter: tuple[str, ...] = option(
        "balance TCP connections over backends, on this address", TEXTS
    )
    rawrouter_cheap: bool = option("accept nothing until a backend subscribed", FLAG)
    rawrouter_fallback: tuple[str, ...] = option(
        "connect here if no backend answers", TEXTS
    )
    rawrouter_gracetime: float = option(
        "leave a dead backend alone for this many seconds",
        SECONDS,
        default=30.0,
        at_least=0,
    )
    rawrouter_max_retries: int = option(
        "try this many backends before giving up", INT, at_least=0
    )
    rawrouter_processes: int = option(
        "run this many router processes",
        INT,
        default=1,
        aliases=("rawrouter-workers",),
        at_least=0,
    )
    rawrouter_proxy_protocol: bool = option(
        "tell backends the client's address with a PROXY line", FLAG, since="geuwsgi"
    )
    rawrouter_quiet: bool = option(
        "do not log backends that fail", FLAG, takes=Takes.VALUE
    )
    rawrouter_stats: str | None = option(
        "serve statistics of the router on this address",
        TEXT,
        aliases=(
            "rawrouter-ss",
            "rawrouter-stats-server",
        ),
    )
    rawrouter_subscription_server: tuple[str, ...] = option(
        "take subscriptions on this address", TEXTS
    )
    rawrouter_timeout: float = option(
        "close connections silent for this many seconds",
        SECONDS,
        default=60.0,
        at_least=0,
    )
    rawrouter_to: tuple[str, ...] = option("connect to this backend", TEXTS)
    rawrouter_use_base: str | None = option(
        "connect to the socket in this directory that bears the key's name", TEXT
    )
    rawrouter_use_cache: str | None = option(
        "look backends up in a cache", TEXT, takes=Takes.MAYBE
    )
    rawrouter_use_code_string: str | None = option(
        "ask this code for the backend", TEXT
    )
    rawrouter_use_pattern: str | None = option(
        "make the backend's address of this pattern and the key", TEXT
    )
    rawrouter_use_socket: str | None = option(
        "connect to a socket of this instance", TEXT, takes=Takes.MAYBE
    )
    rawrouter_xclient: bool = option(
        "tell backends the client's address with an XCLIENT line", FLAG
    )
    rawrouter_zerg: tuple[str, ...] = option(
        "take the router's socket from a zerg server", TEXTS
    )
    sslrouter: tuple[str, ...] = option(
        "end TLS and balance connections over backends: address,certificate,key", TEXTS
    )
    sslrouter_cheap: bool = option("accept nothing until a backend subscribed", FLAG)
    sslrouter_fallback: tuple[str, ...] = option(
        "connect here if no backend answers", TEXTS
    )
    sslrouter_gracetime: float = option(
        "leave a dead backend alone for this many seconds",
        SECONDS,
        default=30.0,
        at_least=0,
    )
    sslrouter_max_retries: int = option(
        "try this many backends before giving up", INT, at_least=0
    )
    sslrouter_processes: int = option(
        "run this many router processes",
        INT,
        default=1,
        aliases=("sslrouter-workers",),
        at_least=0,
    )
    sslrouter_proxy_protocol: bool = option(
        "tell backends the client's address with a PROXY line", FLAG, since="geuwsgi"
    )
    sslrouter_quiet: bool = option(
        "do not log backends that fail", FLAG, takes=Takes.VALUE
    )
    sslrouter_sni: bool = option("choose backends by the server name of TLS", FLAG)
    sslrouter_stats: str | None = option(
        "serve statistics of the router on this address",
        TEXT,
        aliases=(
            "sslrouter-ss",
            "sslrouter-stats-server",
        ),
    )
    sslrouter_subscription_server: tuple[str, ...] = option(
        "take subscriptions on this address", TEXTS
    )
    sslrouter_timeout: float = option(
        "close connections silent for this many seconds",
        SECONDS,
        default=60.0,
        at_least=0,
    )
    sslrouter_to: tuple[str, ...] = option("connect to this backend", TEXTS)
    sslrouter_use_base: str | None = option(
        "connect to the socket in this directory that bears the key's name", TEXT
    )
    sslrouter_use_cache: str | None = option(
        "look backends up in a cache", TEXT, takes=Takes.MAYBE
    )
    sslrouter_use_code_string: str | None = option(
        "ask this code for the backend", TEXT
    )
    sslrouter_use_pattern: str | None = option(
        "make the backend's address of this pattern and the key", TEXT
    )
    sslrouter_use_socket: str | None = option(
        "connect to a socket of this instance", TEXT, takes=Takes.MAYBE
    )
    sslrouter_zerg: tuple[str, ...] = option(
        "take the router's socket from a zerg server", TEXTS
    )
    sslrouter2: tuple[str, ...] = option(
        "end TLS and balance connections: addr=…,cert=…,key=… and more", TEXTS
    )
