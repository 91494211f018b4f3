"""Mules."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, INT, SECONDS, TEXTS, Takes


class Mules(Section):
    """Mules."""

    farm: tuple[str, ...] = option(
        "make a group of mules: name:mule,mule", TEXTS, implies=("master",)
    )
    mule: tuple[str, ...] = option(
        "start a mule that runs this file or function, or waits for messages",
        TEXTS,
        takes=Takes.MAYBE,
        implies=("master",),
    )
    mule_harakiri: float = option(
        "kill a mule that works on a message for this many seconds", SECONDS, at_least=0
    )
    mule_msg_recv_size: int = option(
        "cut mule messages to this many bytes instead of mule-msg-size",
        INT,
        at_least=0,
        implies=("master",),
        since="2.1",
    )
    mule_msg_size: int = option(
        "let mule messages have up to this many bytes",
        BYTES,
        default=65536,
        at_least=0,
        when_true=65536,
        takes=Takes.MAYBE,
        implies=("master",),
    )
    mule_reload_mercy: float = option(
        "wait this many seconds for mules to end", SECONDS, default=60.0, at_least=0
    )
    mules: int = option(
        "start this many mules", INT, at_least=0, when_true=1, implies=("master",)
    )
