"""Reloading, recycling and ending."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS


class Reload(Section):
    """Reloading, recycling and ending."""

    brutal_reload_on_fd: tuple[str, ...] = option(
        "same with a brutal reload", TEXTS, implies=("master",)
    )
    check_mount: tuple[str, ...] = option(
        "destroy the instance when a filesystem stops answering",
        TEXTS,
        aliases=(
            "check-mountpoint",
            "mount-check",
            "mountpoint-check",
        ),
        implies=("master",),
    )
    die_on_term: bool = option(
        "SIGTERM stops the instance rather than reloading it", FLAG, default=True
    )
    exit_on_reload: bool = option(
        "exit instead of re-executing when a reload is asked (useful under supervisors)",
        FLAG,
    )
    fallback_config: str | None = option(
        "re-exec with this other config file if the process ends with exit code 1", TEXT
    )
    forkbomb_delay: float = option(
        "sleep when workers die too quickly (default 2 s)",
        SECONDS,
        default=2.0,
        at_least=0,
        implies=("master",),
    )
    fs_brutal_reload: tuple[str, ...] = option(
        "brutal reload on such an event", TEXTS, implies=("master",)
    )
    fs_reload: tuple[str, ...] = option(
        "graceful reload on an inotify/kqueue event for a path",
        TEXTS,
        implies=("master",),
    )
    fs_signal: tuple[str, ...] = option(
        '"path signum": raise a uwsgi signal on such an event',
        TEXTS,
        implies=("master",),
    )
    max_requests: int = option(
        "recycle a worker after N requests", INT, short="R", at_least=0
    )
    max_requests_delta: int = option(
        "add worker_id based offset to max-requests", INT, at_least=0
    )
    max_worker_lifetime: float = option(
        "recycle a worker after N seconds", SECONDS, at_least=0
    )
    max_worker_lifetime_delta: float = option(
        "add worker_id based offset to max-worker-lifetime", SECONDS, at_least=0
    )
    min_worker_lifetime: float = option(
        "minimum age in seconds before max-requests may recycle a worker (default 10)",
        SECONDS,
        default=10.0,
        at_least=0,
    )
    py_autoreload: float = option(
        "seconds between source mtime checks; reload on change (development)",
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
        "module names ignored by auto reload", TEXTS, implies=("master",)
    )
    reload_mercy: float = option(
        "seconds to wait for processes at reload/shutdown before SIGKILL",
        SECONDS,
        default=60.0,
        at_least=0,
    )
    reload_on_fd: tuple[str, ...] = option(
        "reload the instance when an fd becomes readable (fd[:n[,msg]])",
        TEXTS,
        implies=("master",),
    )
    touch_chain_reload: tuple[str, ...] = option(
        "same, chain reload (one worker at a time)", TEXTS, implies=("master",)
    )
    touch_exec: tuple[str, ...] = option(
        '"file command": run a command on touch', TEXTS, implies=("master",)
    )
    touch_logreopen: tuple[str, ...] = option(
        "touch to reopen the log file",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    touch_logrotate: tuple[str, ...] = option(
        "touch to rotate the log file",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    touch_mules_reload: tuple[str, ...] = option(
        "same, mules only", TEXTS, implies=("master",)
    )
    touch_reload: tuple[str, ...] = option(
        "graceful reload when the file's mtime grows or it appears/vanishes",
        TEXTS,
        implies=("master",),
    )
    touch_signal: tuple[str, ...] = option(
        '"file signum": raise a uwsgi signal on touch', TEXTS, implies=("master",)
    )
    touch_spoolers_reload: tuple[str, ...] = option(
        "same, spoolers only", TEXTS, implies=("master",)
    )
    touch_workers_reload: tuple[str, ...] = option(
        "same, workers only", TEXTS, implies=("master",)
    )
    worker_reload_mercy: float = option(
        "same for workers only (default 60)", SECONDS, default=60.0, at_least=0
    )
