"""Timers, cron and signals."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import SECONDS, TEXTS


class Signals(Section):
    """Timers, cron and signals."""

    cron: tuple[str, ...] = option(
        "run a command at times: minute hour day month weekday command",
        TEXTS,
        implies=("master",),
    )
    cron_curl: tuple[str, ...] = option(
        "fetch a URL at times", TEXTS, aliases=("curl-cron",), implies=("master",)
    )
    cron_harakiri: float = option(
        "kill a cron command after this many seconds", SECONDS, at_least=0
    )
    cron2: tuple[str, ...] = option(
        "run a command at times: minute=…,hour=…,unique=1 command",
        TEXTS,
        implies=("master",),
    )
    rbtimer: tuple[str, ...] = option(
        "raise a signal every so many seconds, with less load for many timers: signal seconds",
        TEXTS,
        aliases=("signal-rbtimer",),
        implies=("master",),
    )
    timer: tuple[str, ...] = option(
        "raise a signal every so many seconds: signal seconds",
        TEXTS,
        aliases=("signal-timer",),
        implies=("master",),
    )
    unique_cron: tuple[str, ...] = option(
        "run a command at times unless it still runs", TEXTS, implies=("master",)
    )
