"""Reloading, recycling and ending."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS


class Reload(Section):
    """Reloading, recycling and ending."""

    brutal_reload_on_fd: tuple[str, ...] = option(
        "reload at once when a descriptor becomes readable: fd[:bytes[,message]]",
        TEXTS,
        implies=("master",),
    )
    check_mount: tuple[str, ...] = option(
        "end the server when this file system does not answer",
        TEXTS,
        aliases=(
            "check-mountpoint",
            "mount-check",
            "mountpoint-check",
        ),
        implies=("master",),
    )
    die_on_term: bool = option(
        "stop at SIGTERM",
        FLAG,
        default=True,
        differs="SIGTERM always stops here; uWSGI reloads unless this is set",
    )
    drain_delay: float = option(
        "go on accepting for this many seconds after SIGTERM, while uwsgi.draining() is true",
        SECONDS,
        at_least=0,
        since="geuwsgi",
    )
    exit_on_reload: bool = option("exit when a reload is asked for", FLAG)
    fallback_config: str | None = option(
        "start again with this file if the server exits with status 1", TEXT
    )
    forkbomb_delay: float = option(
        "wait this many seconds when workers die too quickly",
        SECONDS,
        default=2.0,
        at_least=0,
        implies=("master",),
    )
    fs_brutal_reload: tuple[str, ...] = option(
        "reload at once when this path changes", TEXTS, implies=("master",)
    )
    fs_reload: tuple[str, ...] = option(
        "reload when this path changes", TEXTS, implies=("master",)
    )
    fs_signal: tuple[str, ...] = option(
        "raise a signal when a path changes: path signal", TEXTS, implies=("master",)
    )
    max_requests: int = option(
        "recycle a worker after this many requests", INT, short="R", at_least=0
    )
    max_requests_delta: int = option(
        "add this many requests, times the worker's number, to max-requests",
        INT,
        at_least=0,
    )
    max_worker_lifetime: float = option(
        "recycle a worker after this many seconds", SECONDS, at_least=0
    )
    max_worker_lifetime_delta: float = option(
        "add this many seconds, times the worker's number, to max-worker-lifetime",
        SECONDS,
        at_least=0,
    )
    min_worker_lifetime: float = option(
        "do not recycle a worker for its requests before this many seconds",
        SECONDS,
        default=10.0,
        at_least=0,
    )
    py_autoreload: float = option(
        "reload when a source file changes; look every this many seconds",
        SECONDS,
        aliases=(
            "py-auto-reload",
            "python-auto-reload",
            "python-autoreload",
        ),
        at_least=0,
        when_true=1,
        implies=("master",),
    )
    py_auto_reload_ignore: tuple[str, ...] = option(
        "do not watch this module for changes", TEXTS, implies=("master",)
    )
    reload_mercy: float = option(
        "wait this many seconds for processes to end", SECONDS, default=60.0, at_least=0
    )
    reload_on_fd: tuple[str, ...] = option(
        "reload when a descriptor becomes readable: fd[:bytes[,message]]",
        TEXTS,
        implies=("master",),
    )
    touch_chain_reload: tuple[str, ...] = option(
        "reload one worker after the other when this file is touched",
        TEXTS,
        implies=("master",),
    )
    touch_exec: tuple[str, ...] = option(
        "run a command when a file is touched: file command", TEXTS, implies=("master",)
    )
    touch_logreopen: tuple[str, ...] = option(
        "open the log file again when this file is touched",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    touch_logrotate: tuple[str, ...] = option(
        "rotate the log file when this file is touched",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    touch_mules_reload: tuple[str, ...] = option(
        "reload the mules when this file is touched", TEXTS, implies=("master",)
    )
    touch_reload: tuple[str, ...] = option(
        "reload when this file is touched", TEXTS, implies=("master",)
    )
    touch_signal: tuple[str, ...] = option(
        "raise a signal when a file is touched: file signal", TEXTS, implies=("master",)
    )
    touch_spoolers_reload: tuple[str, ...] = option(
        "reload the spoolers when this file is touched", TEXTS, implies=("master",)
    )
    touch_workers_reload: tuple[str, ...] = option(
        "reload the workers when this file is touched", TEXTS, implies=("master",)
    )
    worker_reload_mercy: float = option(
        "wait this many seconds for the requests of a worker",
        SECONDS,
        default=60.0,
        at_least=0,
    )
