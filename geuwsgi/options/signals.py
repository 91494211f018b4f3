"""Timers, cron and signals."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import SECONDS, TEXTS


class Signals(Section):
    """Timers, cron and signals."""

    cron: tuple[str, ...] = option(
        "min hour day month weekday command", TEXTS, implies=("master",)
    )
    cron_curl: tuple[str, ...] = option(
        "cron whose action is fetching a URL (curl plugin)",
        TEXTS,
        aliases=("curl-cron",),
        implies=("master",),
    )
    legion_cron_curl: tuple[str, ...] = option(
        "same, on the legion lord only",
        TEXTS,
        aliases=(
            "cron-curl-legion",
            "curl-cron-legion",
            "legion-curl-cron",
        ),
        implies=("master",),
    )
    cron_harakiri: float = option("time limit for cron commands", SECONDS, at_least=0)
    legion_cron: tuple[str, ...] = option(
        "cron run only by the legion lord: name then fields",
        TEXTS,
        aliases=("cron-legion",),
        implies=("master",),
    )
    cron2: tuple[str, ...] = option(
        "keyval prefix plus command: minute=,hour=,...,unique=,harakiri=",
        TEXTS,
        implies=("master",),
    )
    rbtimer: tuple[str, ...] = option(
        '"signum seconds": same with the user-space red-black timer',
        TEXTS,
        aliases=("signal-rbtimer",),
        implies=("master",),
    )
    timer: tuple[str, ...] = option(
        '"signum seconds": raise a signal periodically',
        TEXTS,
        aliases=("signal-timer",),
        implies=("master",),
    )
    unique_cron: tuple[str, ...] = option(
        "cron that never overlaps itself", TEXTS, implies=("master",)
    )
    unique_cron_legion: tuple[str, ...] = option(
        "same, never overlapping",
        TEXTS,
        aliases=("unique-legion-cron",),
        implies=("master",),
    )
