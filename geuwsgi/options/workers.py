"""Workers, their cores, and how long they may take."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, KIB, SECONDS, TEXT


class Workers(Section):
    """Workers, their cores, and how long they may take."""

    async_: int = option(
        "serve up to this many requests at once, as gevent does",
        INT,
        at_least=0,
        when_true=100,
    )
    cheap: bool = option(
        "start workers only at the first request", FLAG, implies=("master",)
    )
    cheaper: int = option(
        "keep at least this many workers and start more as needed",
        INT,
        at_least=0,
        when_true=1,
        implies=("master",),
    )
    cheaper_algo: str | None = option(
        "choose the number of workers with this algorithm: spare, spare2, backlog, busyness, manual",
        TEXT,
        implies=("master",),
    )
    cheaper_busyness_backlog_alert: int = option(
        "start emergency workers when this many connections wait",
        INT,
        default=33,
        at_least=0,
    )
    cheaper_busyness_backlog_multiplier: int = option(
        "keep emergency workers for this many cycles", INT, default=3, at_least=0
    )
    cheaper_busyness_backlog_nonzero: float = option(
        "start an emergency worker when connections wait for this many seconds",
        SECONDS,
        default=60.0,
        at_least=0,
    )
    cheaper_busyness_backlog_step: int = option(
        "start this many emergency workers at once", INT, default=1, at_least=0
    )
    cheaper_busyness_max: int = option(
        "add workers above this percentage of busyness", INT, default=50, at_least=0
    )
    cheaper_busyness_min: int = option(
        "stop workers below this percentage of busyness", INT, default=25, at_least=0
    )
    cheaper_busyness_multiplier: int = option(
        "stop a worker after this many quiet cycles", INT, default=10, at_least=0
    )
    cheaper_busyness_penalty: int = option(
        "add this many quiet cycles after a worker was stopped too early",
        INT,
        default=2,
        at_least=0,
    )
    cheaper_busyness_verbose: bool = option(
        "log what the busyness algorithm decides", FLAG
    )
    cheaper_idle: float = option(
        "stop a spare worker after this many idle seconds (algorithm spare2)",
        SECONDS,
        at_least=0,
        implies=("master",),
        since="2.1",
    )
    cheaper_initial: int = option(
        "start with this many workers",
        INT,
        at_least=0,
        when_true=1,
        implies=("master",),
    )
    cheaper_overload: int = option(
        "decide about the number of workers every this many cycles",
        INT,
        at_least=0,
        implies=("master",),
    )
    cheaper_rss_limit_hard: int = option(
        "stop workers when all use more than this many bytes",
        BYTES,
        at_least=0,
        implies=("master",),
    )
    cheaper_rss_limit_soft: int = option(
        "start no workers when all use more than this many bytes",
        BYTES,
        at_least=0,
        implies=("master",),
    )
    cheaper_step: int = option(
        "start this many workers at once",
        INT,
        default=1,
        at_least=0,
        implies=("master",),
    )
    die_on_idle: bool = option("exit instead of going cheap when idle", FLAG)
    die_on_no_workers: bool = option(
        "exit when no worker is left running", FLAG, since="2.1"
    )
    disable_async_warn_on_queue_full: bool = option(
        "do not warn when all cores of a worker are busy", FLAG, since="2.1"
    )
    gevent: int = option(
        "serve up to this many requests at once in each worker",
        INT,
        at_least=0,
        when_true=100,
    )
    gevent_early_monkey_patch: bool = option(
        "make the standard library cooperative before the application is loaded", FLAG
    )
    gevent_monkey_patch: bool = option(
        "make the standard library cooperative",
        FLAG,
        differs="the standard library is made cooperative before the application is loaded",
    )
    gevent_wait_for_hub: bool = option("wait for the hub to end at shutdown", FLAG)
    greenlet: bool = option("use greenlets for the suspend API", FLAG)
    harakiri: float = option(
        "end a request after this many seconds",
        SECONDS,
        short="t",
        at_least=0,
        differs="ends one request; uWSGI kills the worker and all requests in it",
    )
    harakiri_graceful_signal: int = option(
        "send this signal first to a worker that is blocked",
        INT,
        default=15,
        at_least=1,
        at_most=64,
    )
    harakiri_graceful_timeout: float = option(
        "wait this many seconds after the first signal before killing",
        SECONDS,
        at_least=0,
    )
    harakiri_queue_threshold: int = option(
        "end requests only when this many connections wait", INT, at_least=0
    )
    harakiri_verbose: bool = option("log where an ended request was", FLAG)
    hub_watch: float = option(
        "tell what blocks a worker whose hub has not turned for this many seconds; 0: never",
        SECONDS,
        default=5.0,
        at_least=0,
        since="geuwsgi",
    )
    idle: float = option(
        "stop the workers after this many seconds without requests",
        SECONDS,
        at_least=0,
        implies=("master",),
    )
    lazy: bool = option(
        "load applications in each worker, and let SIGHUP reload only workers", FLAG
    )
    lazy_apps: bool = option("load applications in each worker", FLAG)
    loop: str | None = option("choose the event loop; gevent is the only one", TEXT)
    processes: int = option(
        "run this many workers",
        INT,
        default=1,
        short="p",
        aliases=("workers",),
        at_least=0,
        when_true=1,
    )
    py_tracebacker: str | None = option(
        "serve stacks of workers on sockets that begin with this path",
        TEXT,
        implies=("master",),
    )
    sticky: str | None = option(
        "send requests of one session to one worker: cookie:NAME, query:NAME, header:NAME or addr",
        TEXT,
        since="geuwsgi",
    )
    thread_stacksize: int = option(
        "give threads a stack of this many KB",
        KIB,
        aliases=(
            "thread-stack-size",
            "threads-stack-size",
            "threads-stacksize",
        ),
        at_least=0,
    )
    threads: int = option(
        "run this many threads in each worker; without gevent it is the number of cores",
        INT,
        default=1,
        at_least=0,
        when_true=1,
        differs="cores are greenlets; the number counts only without gevent",
    )
