"""Alarms."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import SECONDS, TEXTS


class Alarms(Section):
    """Alarms."""

    alarm: tuple[str, ...] = option(
        "define an alarm: name, plugin and its arguments", TEXTS, implies=("master",)
    )
    alarm_backlog: tuple[str, ...] = option(
        "raise this alarm when a listen queue is full",
        TEXTS,
        aliases=(
            "alarm-listen-queue",
            "alarm-lq",
            "backlog-alarm",
            "listen-queue-alarm",
            "lq-alarm",
        ),
        implies=("master",),
    )
    alarm_fd: tuple[str, ...] = option(
        "raise an alarm when a descriptor becomes readable: alarm fd[:bytes[,message]]",
        TEXTS,
        implies=("master",),
    )
    alarm_freq: float = option(
        "raise the same alarm at most once in this many seconds",
        SECONDS,
        default=3.0,
        at_least=0,
    )
    alarm_log: tuple[str, ...] = option(
        "raise an alarm for log lines that match: alarm regexp",
        TEXTS,
        aliases=("log-alarm",),
        implies=(
            "master",
            "log-master",
        ),
    )
    not_alarm_log: tuple[str, ...] = option(
        "raise no alarm for log lines that match: alarm regexp",
        TEXTS,
        aliases=("not-log-alarm",),
        implies=(
            "master",
            "log-master",
        ),
    )
