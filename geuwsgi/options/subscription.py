"""Subscriptions and zerg mode."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS, Takes


class Subscription(Section):
    """Subscriptions and zerg mode."""

    auto_weight: bool = option(
        "announce a weight made of the number of cores", FLAG, takes=Takes.VALUE
    )
    subscribe_to: tuple[str, ...] = option(
        "announce this instance to a router: server:key",
        TEXTS,
        aliases=(
            "st",
            "subscribe",
        ),
        implies=("master",),
    )
    start_unsubscribed: bool = option("do not announce this instance at start", FLAG)
    subscribe_freq: float = option(
        "announce this instance every this many seconds",
        SECONDS,
        default=10.0,
        at_least=0,
    )
    subscribe_with_modifier1: int = option(
        "announce this modifier1", INT, at_least=0, implies=("master",)
    )
    subscribe2: tuple[str, ...] = option(
        "announce this instance to a router: server=…,key=… and more",
        TEXTS,
        implies=("master",),
    )
    subscription_algo: str | None = option("choose backends with this algorithm", TEXT)
    subscription_dotsplit: bool = option(
        "look for a key without its first part if it is unknown", FLAG
    )
    subscription_mountpoints: int = option(
        "keep subscriptions apart by this many path components",
        INT,
        aliases=("subscription-mountpoint",),
        at_least=0,
        implies=("master",),
        since="2.1",
    )
    subscription_notify_socket: str | None = option(
        "send messages of subscriptions to this socket", TEXT, implies=("master",)
    )
    subscription_tolerance: float = option(
        "forget a silent backend after this many seconds",
        SECONDS,
        default=17.0,
        at_least=0,
    )
    subscription_tolerance_inactive: float = option(
        "wait this many seconds for an inactive subscriber",
        SECONDS,
        default=17.0,
        at_least=0,
        since="2.1",
    )
    subscription_vassal_required: bool = option(
        "refuse subscriptions that name no vassal",
        FLAG,
        implies=("master",),
        since="2.1",
    )
    subscriptions_credentials_check: tuple[str, ...] = option(
        "check the credentials of subscribers with this directory",
        TEXTS,
        implies=("master",),
    )
    subscriptions_sign_check: tuple[str, ...] = option(
        "check the signatures of subscribers: digest:directory",
        TEXTS,
        implies=("master",),
    )
    subscriptions_sign_check_tolerance: float = option(
        "accept signatures whose clock differs by this many seconds",
        SECONDS,
        at_least=0,
        implies=("master",),
    )
    subscriptions_sign_skip_uid: tuple[str, ...] = option(
        "check no signature of this user", TEXTS, implies=("master",)
    )
    subscriptions_use_credentials: bool = option(
        "send and check credentials of subscribers", FLAG
    )
    unsubscribe_on_graceful_reload: bool = option(
        "withdraw the announcement during a reload, too", FLAG
    )
    weight: int = option("announce this weight", INT, default=1, at_least=0)
    zerg: tuple[str, ...] = option("take listening sockets from a zerg server", TEXTS)
    zerg_fallback: bool = option("bind addresses if the zerg server is missing", FLAG)
    zergpool: tuple[str, ...] = option(
        "hold listening sockets for zerg clients: address:socket,socket",
        TEXTS,
        aliases=("zerg-pool",),
    )
    zerg_server: str | None = option(
        "give listening sockets away on this unix socket", TEXT, implies=("master",)
    )
