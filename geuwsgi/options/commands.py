"""Commands: print something, or act on a running instance, and exit."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, SECONDS, TEXT, TEXTS, Takes


class Commands(Section):
    """Commands: print something, or act on a running instance, and exit."""

    alarm_list: bool = option(
        "list compiled alarm types", FLAG, aliases=("alarms-list",)
    )
    cheaper_algos_list: bool = option(
        "list algorithms",
        FLAG,
        aliases=(
            "cheaper-algo-list",
            "cheaper-list",
        ),
    )
    connect_and_read: str | None = option(
        "connect to an address, print what arrives, exit", TEXT
    )
    dump_options: bool = option("list all option names", FLAG)
    extract: str | None = option(
        "print the contents of any supported URL/scheme to stdout and exit", TEXT
    )
    get: tuple[str, ...] = option(
        "print the value of a given option after config parsing and exit", TEXTS
    )
    help_: bool = option(
        "print option list and exit", FLAG, short="h", aliases=("usage",)
    )
    imperial_monitor_list: bool = option(
        "list available monitor types and exit-like info",
        FLAG,
        aliases=("imperial-monitors-list",),
    )
    logger_list: bool = option("list compiled loggers", FLAG, aliases=("loggers-list",))
    loop_list: bool = option("list loop engines", FLAG, aliases=("loops-list",))
    nagios: bool = option("act as a Nagios plugin: ping a server, exit 0/1/2", FLAG)
    pause: str | None = option("send SIGTSTP to the pid in a pidfile and exit", TEXT)
    ping: str | None = option("ping a uwsgi server (modifier1 100) and exit 0/1", TEXT)
    ping_timeout: float = option("ping timeout", SECONDS, default=3.0, at_least=0)
    plugin_list: bool = option("list embedded plugins", FLAG, aliases=("plugins-list",))
    print_sym: str | None = option(
        "print an embedded binary symbol (file) and exit",
        TEXT,
        aliases=("print-symbol",),
    )
    pyrun: str | None = option(
        "run a Python script in the prepared environment and exit",
        TEXT,
        aliases=(
            "py",
            "python",
        ),
    )
    pyshell: str | None = option(
        "interactive shell inside the instance (optional code)", TEXT, takes=Takes.MAYBE
    )
    pyshell_oneshot: str | None = option(
        "same, exits the worker for good afterwards", TEXT, takes=Takes.MAYBE
    )
    python_version: bool = option("print the Python version and exit", FLAG)
    reload: str | None = option("send SIGHUP to the pid in a pidfile and exit", TEXT)
    resume: str | None = option("same as pause (the signal toggles)", TEXT)
    router_list: bool = option("list routing actions", FLAG, aliases=("routers-list",))
    show_config: bool = option(
        "print the effective configuration as ini at start", FLAG
    )
    signal: str | None = option(
        "addr,signum: send a uwsgi signal to a remote server and exit", TEXT
    )
    stop: str | None = option(
        "send the stop signal (SIGINT) to the pid in a pidfile and exit", TEXT
    )
    suspend: str | None = option("same as pause", TEXT)
    test: str | None = option(
        "import a module, report and exit (0 ok, 1 failed)", TEXT, short="J"
    )
    version: bool = option("print the version and exit", FLAG)
