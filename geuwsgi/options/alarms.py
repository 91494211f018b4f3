"""Alarms."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import SECONDS, TEXTS


class Alarms(Section):
    """Alarms."""

    alarm: tuple[str, ...] = option(
        "define an alarm: name plugin:args", TEXTS, implies=("master",)
    )
    alarm_backlog: tuple[str, ...] = option(
        "raise an alarm when the listen queue is full",
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
        "raise an alarm when an fd is readable: alarm fd[:n[,msg]]",
        TEXTS,
        implies=("master",),
    )
    alarm_freq: float = option(
        "do not repeat the same alarm within N seconds (default 3)",
        SECONDS,
        default=3.0,
        at_least=0,
    )
    alarm_log: tuple[str, ...] = option(
        "raise alarms for log lines matching a regexp (PCRE builds)",
        TEXTS,
        aliases=("log-alarm",),
        implies=(
            "master",
            "log-master",
        ),
    )
    not_alarm_log: tuple[str, ...] = option(
        "exclude log lines from an alarm (PCRE builds)",
        TEXTS,
        aliases=("not-log-alarm",),
        implies=(
            "master",
            "log-master",
        ),
    )
