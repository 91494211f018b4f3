"""Commands: print something, or act on a running instance, and exit."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, SECONDS, TEXT, TEXTS, Takes


class Commands(Section):
    """Commands: print something, or act on a running instance, and exit."""

    alarm_list: bool = option(
        "list the kinds of alarms", FLAG, aliases=("alarms-list",)
    )
    cheaper_algos_list: bool = option(
        "list the algorithms for the number of workers",
        FLAG,
        aliases=(
            "cheaper-algo-list",
            "cheaper-list",
        ),
    )
    connect_and_read: str | None = option(
        "connect to this address, print what arrives and exit", TEXT
    )
    dump_options: bool = option("print the names of all options and exit", FLAG)
    extract: str | None = option("print the content of a source and exit", TEXT)
    get: tuple[str, ...] = option("print the value of an option and exit", TEXTS)
    help_: str | None = option(
        "print the options, or those of one section, and exit",
        TEXT,
        short="h",
        aliases=("usage",),
        takes=Takes.MAYBE,
    )
    imperial_monitor_list: bool = option(
        "list the kinds of sources for vassals",
        FLAG,
        aliases=("imperial-monitors-list",),
    )
    logger_list: bool = option(
        "list the kinds of loggers", FLAG, aliases=("loggers-list",)
    )
    loop_list: bool = option("list the event loops", FLAG, aliases=("loops-list",))
    nagios: bool = option("ask a server if it lives and exit as a Nagios plugin", FLAG)
    pause: str | None = option(
        "pause or resume the instance of this pidfile and exit", TEXT
    )
    ping: str | None = option("ask a uwsgi server if it lives and exit", TEXT)
    ping_timeout: float = option(
        "wait this many seconds for the answer to a ping",
        SECONDS,
        default=3.0,
        at_least=0,
    )
    plugin_list: bool = option("list the plugins", FLAG, aliases=("plugins-list",))
    print_sym: str | None = option(
        "print a file embedded in the program and exit", TEXT, aliases=("print-symbol",)
    )
    pyrun: str | None = option(
        "run a Python script in the server's environment and exit",
        TEXT,
        aliases=(
            "py",
            "python",
        ),
    )
    pyshell: str | None = option(
        "open a Python shell in the server", TEXT, takes=Takes.MAYBE
    )
    pyshell_oneshot: str | None = option(
        "open a Python shell in the server, once", TEXT, takes=Takes.MAYBE
    )
    python_version: bool = option("print the version of Python and exit", FLAG)
    reload: str | None = option("reload the instance of this pidfile and exit", TEXT)
    resume: str | None = option(
        "pause or resume the instance of this pidfile and exit", TEXT
    )
    router_list: bool = option("list routing actions", FLAG, aliases=("routers-list",))
    show_config: bool = option("print the configuration at start", FLAG)
    signal: str | None = option(
        "raise a signal in the server at an address and exit: address,signal", TEXT
    )
    stop: str | None = option("stop the instance of this pidfile and exit", TEXT)
    suspend: str | None = option(
        "pause or resume the instance of this pidfile and exit", TEXT
    )
    test: str | None = option(
        "import a module, tell if it worked and exit", TEXT, short="J"
    )
    version: bool = option("print the version and exit", FLAG)
    help_option: str | None = option(
        "print all about one option and exit", TEXT, since="geuwsgi"
    )
    completion: str | None = option(
        "print the completion for a shell and exit: bash, zsh or fish",
        TEXT,
        choices=("bash", "zsh", "fish"),
        since="geuwsgi",
    )
    json_schema: bool = option(
        "print the JSON Schema of yaml and json files and exit", FLAG, since="geuwsgi"
    )
