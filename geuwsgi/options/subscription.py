"""Subscriptions and zerg mode."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS, Takes


class Subscription(Section):
    """Subscriptions and zerg mode."""

    auto_weight: bool = option(
        "derive the weight from the cores (takes an argument by mistake)",
        FLAG,
        takes=Takes.VALUE,
    )
    subscribe_to: tuple[str, ...] = option(
        "announce this instance: server:key[,modifier1[,...]]",
        TEXTS,
        aliases=(
            "st",
            "subscribe",
        ),
        implies=("master",),
    )
    start_unsubscribed: bool = option(
        "start with announcements off (master fifo S toggles)", FLAG
    )
    subscribe_freq: float = option(
        "announce period (default 10)", SECONDS, default=10.0, at_least=0
    )
    subscribe_with_modifier1: int = option(
        "modifier1 announced", INT, at_least=0, implies=("master",)
    )
    subscribe2: tuple[str, ...] = option(
        "announce with keyval syntax", TEXTS, implies=("master",)
    )
    subscription_algo: str | None = option(
        "load balancing algorithm for subscribed nodes (wrr, lrc, wlrc, iphash...)",
        TEXT,
    )
    subscription_clear_on_shutdown: bool = option(
        "clear subscriptions at shutdown", FLAG, since="2.1"
    )
    subscription_dotsplit: bool = option(
        "fall back along dot-separated parts of the key", FLAG
    )
    subscription_mountpoints: int = option(
        "subscriptions per mount point",
        INT,
        aliases=("subscription-mountpoint",),
        at_least=0,
        implies=("master",),
        since="2.1",
    )
    subscription_notify_socket: str | None = option(
        "unix datagram address for subscription notifications",
        TEXT,
        implies=("master",),
    )
    subscription_tolerance: float = option(
        "seconds a silent node stays valid (default 17)",
        SECONDS,
        default=17.0,
        at_least=0,
    )
    subscription_tolerance_inactive: float = option(
        "tolerance for inactive vassals", SECONDS, default=17.0, at_least=0, since="2.1"
    )
    subscription_vassal_required: bool = option(
        "refuse subscriptions without a vassal name",
        FLAG,
        implies=("master",),
        since="2.1",
    )
    subscriptions_credentials_check: tuple[str, ...] = option(
        "directory of key credentials", TEXTS, implies=("master",)
    )
    subscriptions_sign_check: tuple[str, ...] = option(
        "check signatures of subscription packets (digest:dir)",
        TEXTS,
        implies=("master",),
    )
    subscriptions_sign_check_tolerance: float = option(
        "clock skew allowed for signatures", SECONDS, at_least=0, implies=("master",)
    )
    subscriptions_sign_skip_uid: tuple[str, ...] = option(
        "uids exempt from signature checks on unix sockets", TEXTS, implies=("master",)
    )
    subscriptions_use_credentials: bool = option("send/check unix credentials", FLAG)
    unsubscribe_on_graceful_reload: bool = option(
        "also withdraw during graceful reload", FLAG
    )
    weight: int = option(
        "weight announced to subscription servers", INT, default=1, at_least=0
    )
    zerg: tuple[str, ...] = option("take listening sockets from a zerg server", TEXTS)
    zerg_fallback: bool = option("bind normally when the zerg server is missing", FLAG)
    zergpool: tuple[str, ...] = option(
        "process that holds listening sockets for zerg clients: address:sock[,sock]",
        TEXTS,
        aliases=("zerg-pool",),
    )
    zerg_server: str | None = option(
        "give our sockets away on this unix socket", TEXT, implies=("master",)
    )
