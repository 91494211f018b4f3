"""Mules."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, INT, SECONDS, TEXTS, Takes


class Mules(Section):
    """Mules."""

    farm: tuple[str, ...] = option(
        "name:mule,mule: group mules", TEXTS, implies=("master",)
    )
    mule: tuple[str, ...] = option(
        "start a mule; value = python file or module:callable to run, none = message/signal mule",
        TEXTS,
        takes=Takes.MAYBE,
        implies=("master",),
    )
    mule_harakiri: float = option(
        "harakiri timeout for each mule message/task", SECONDS, at_least=0
    )
    mule_msg_recv_size: int = option(
        "receive buffer of mule messages",
        INT,
        default=65536,
        at_least=0,
        implies=("master",),
        since="2.1",
    )
    mule_msg_size: int = option(
        "buffer size used when reading mule messages",
        BYTES,
        default=65536,
        at_least=0,
        when_true=65536,
        takes=Takes.MAYBE,
        implies=("master",),
    )
    mule_reload_mercy: float = option(
        "same for mules (default 60)", SECONDS, default=60.0, at_least=0
    )
    mules: int = option(
        "start N plain mules", INT, at_least=0, when_true=1, implies=("master",)
    )
