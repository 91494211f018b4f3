"""Attached daemons."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, TEXTS


class Daemons(Section):
    """Attached daemons."""

    attach_control_daemon: tuple[str, ...] = option(
        "same; its death stops the instance", TEXTS, implies=("master",)
    )
    attach_daemon: tuple[str, ...] = option(
        "child command supervised by the master (foreground)",
        TEXTS,
        implies=("master",),
    )
    attach_daemon2: tuple[str, ...] = option(
        "keyval form: cmd,freq,pidfile,control,daemonize,touch,stopsignal,reloadsignal,stdin,uid,gid,chdir,...",
        TEXTS,
        implies=("master",),
    )
    daemons_honour_stdin: bool = option(
        "leave stdin of daemons alone", FLAG, implies=("master",)
    )
    legion_attach_daemon: tuple[str, ...] = option(
        "attach-daemon only on the legion lord", TEXTS, implies=("master",)
    )
    legion_smart_attach_daemon: tuple[str, ...] = option(
        "smart-attach-daemon only on the legion lord", TEXTS, implies=("master",)
    )
    legion_smart_attach_daemon2: tuple[str, ...] = option(
        "smart-attach-daemon2 only on the legion lord", TEXTS, implies=("master",)
    )
    smart_attach_daemon: tuple[str, ...] = option(
        "pidfile command: supervise a self-daemonizing command",
        TEXTS,
        implies=("master",),
    )
    smart_attach_daemon2: tuple[str, ...] = option(
        "pidfile command: supervise a foreground command that the master daemonizes",
        TEXTS,
        implies=("master",),
    )
