"""Attached daemons."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, TEXTS


class Daemons(Section):
    """Attached daemons."""

    attach_control_daemon: tuple[str, ...] = option(
        "supervise a command and stop the server when it ends",
        TEXTS,
        implies=("master",),
    )
    attach_daemon: tuple[str, ...] = option(
        "supervise a command that stays in the foreground", TEXTS, implies=("master",)
    )
    attach_daemon2: tuple[str, ...] = option(
        "supervise a command: cmd=…,pidfile=…,stopsignal=… and more",
        TEXTS,
        implies=("master",),
    )
    daemons_honour_stdin: bool = option(
        "leave the standard input of attached commands alone", FLAG, implies=("master",)
    )
    smart_attach_daemon: tuple[str, ...] = option(
        "supervise a command that goes to the background itself: pidfile command",
        TEXTS,
        implies=("master",),
    )
    smart_attach_daemon2: tuple[str, ...] = option(
        "supervise a command that is put into the background: pidfile command",
        TEXTS,
        implies=("master",),
    )
