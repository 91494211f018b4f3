"""Workers, their cores, and how long they may take."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, KIB, SECONDS, TEXT


class Workers(Section):
    """Workers, their cores, and how long they may take."""

    async_: int = option(
        "number of async cores per worker (set for you by gevent=N)",
        INT,
        at_least=0,
        when_true=100,
    )
    cheap: bool = option(
        "spawn workers only at the first request", FLAG, implies=("master",)
    )
    cheaper: int = option(
        "adaptive worker count: the minimum number kept",
        INT,
        at_least=0,
        when_true=1,
        implies=("master",),
    )
    cheaper_algo: str | None = option(
        "algorithm: spare (default), backlog, manual, busyness, ...",
        TEXT,
        implies=("master",),
    )
    cheaper_busyness_backlog_alert: int = option(
        "listen queue length that starts emergency workers (default 33)",
        INT,
        default=33,
        at_least=0,
    )
    cheaper_busyness_backlog_multiplier: int = option(
        "cycles before emergency workers stop (default 3)", INT, default=3, at_least=0
    )
    cheaper_busyness_backlog_nonzero: float = option(
        "start an emergency worker when the queue stays non-empty N seconds (default 60)",
        SECONDS,
        default=60.0,
        at_least=0,
    )
    cheaper_busyness_backlog_step: int = option(
        "emergency workers per step (default 1)", INT, default=1, at_least=0
    )
    cheaper_busyness_max: int = option(
        "busyness percentage above which workers are added (default 50)",
        INT,
        default=50,
        at_least=0,
    )
    cheaper_busyness_min: int = option(
        "busyness percentage below which workers are stopped (default 25)",
        INT,
        default=25,
        at_least=0,
    )
    cheaper_busyness_multiplier: int = option(
        "idle cycles factor before stopping a worker (default 10)",
        INT,
        default=10,
        at_least=0,
    )
    cheaper_busyness_penalty: int = option(
        "factor increase after a premature stop (default 2)", INT, default=2, at_least=0
    )
    cheaper_busyness_verbose: bool = option("verbose algorithm logging", FLAG)
    cheaper_idle: float = option(
        "idle seconds before spare2 removes a worker",
        SECONDS,
        at_least=0,
        implies=("master",),
        since="2.1",
    )
    cheaper_initial: int = option(
        "workers started at boot in cheaper mode",
        INT,
        at_least=0,
        when_true=1,
        implies=("master",),
    )
    cheaper_overload: int = option(
        "overload ticks/threshold of the algorithm",
        INT,
        at_least=0,
        implies=("master",),
    )
    cheaper_rss_limit_hard: int = option(
        "total RSS above which workers are stopped",
        BYTES,
        at_least=0,
        implies=("master",),
    )
    cheaper_rss_limit_soft: int = option(
        "total RSS above which no worker is added",
        BYTES,
        at_least=0,
        implies=("master",),
    )
    cheaper_step: int = option(
        "workers added per overload", INT, default=1, at_least=0, implies=("master",)
    )
    die_on_idle: bool = option("exit when idle fires", FLAG)
    die_on_no_workers: bool = option("exit when no worker runs", FLAG, since="2.1")
    disable_async_warn_on_queue_full: bool = option(
        "silence the async-queue-full warning", FLAG, since="2.1"
    )
    gevent: int = option(
        "use the gevent loop with N cores (greenlets) per worker; requires a number",
        INT,
        at_least=0,
        when_true=100,
    )
    gevent_early_monkey_patch: bool = option("patch_all() before apps load", FLAG)
    gevent_monkey_patch: bool = option(
        "patch_all() when the loop starts (after preforked app load)", FLAG
    )
    gevent_wait_for_hub: bool = option(
        "at shutdown wait for the hub to finish rather than the control greenlet", FLAG
    )
    greenlet: bool = option(
        "greenlet suspend engine for ugreen-like async mode (not gevent)", FLAG
    )
    harakiri: float = option(
        "kill a worker whose request runs longer than N seconds (per worker, not per greenlet)",
        SECONDS,
        short="t",
        at_least=0,
    )
    harakiri_graceful_signal: int = option(
        "signal number used for the polite harakiri attempt (default 15)",
        INT,
        default=15,
        at_least=0,
    )
    harakiri_graceful_timeout: float = option(
        "seconds between the polite harakiri signal and SIGKILL", SECONDS, at_least=0
    )
    harakiri_no_arh: bool = option(
        "clear the harakiri deadline before running the after-request hook",
        FLAG,
        default=False,
        aliases=(
            "no-harakiri-after-req-hook",
            "no-harakiri-arh",
        ),
    )
    harakiri_queue_threshold: int = option(
        "only fire harakiri when the listen queue is longer than N", INT, at_least=0
    )
    harakiri_verbose: bool = option(
        "also dump syscall, wait channel, backtrace and request list when harakiri fires",
        FLAG,
    )
    idle: float = option(
        "go cheap after N idle seconds", SECONDS, at_least=0, implies=("master",)
    )
    lazy: bool = option(
        "legacy: load apps in workers and make SIGHUP restart workers only", FLAG
    )
    lazy_apps: bool = option("load apps in each worker after fork", FLAG)
    loop: str | None = option("loop engine name (gevent sets this)", TEXT)
    processes: int = option(
        "number of worker processes",
        INT,
        default=1,
        short="p",
        aliases=("workers",),
        at_least=0,
        when_true=1,
    )
    py_tracebacker: str | None = option(
        "unix socket prefix whose connections get a traceback of all threads of a worker",
        TEXT,
        implies=("master",),
    )
    thread_stacksize: int = option(
        "stack size of threads in KB",
        KIB,
        aliases=(
            "thread-stack-size",
            "threads-stack-size",
            "threads-stacksize",
        ),
        at_least=0,
    )
    threads: int = option(
        "request threads per worker (ignored in spirit under gevent)",
        INT,
        default=1,
        at_least=0,
        when_true=1,
    )
