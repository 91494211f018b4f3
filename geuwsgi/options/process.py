"""The process: privileges, directories, environment, titles."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS


class Process(Section):
    """The process: privileges, directories, environment, titles."""

    add_gid: tuple[str, ...] = option("additional group for the processes", TEXTS)
    auto_procname: bool = option("set descriptive process titles automatically", FLAG)
    binary_path: str | None = option("binary path used when re-executing", TEXT)
    binsh: tuple[str, ...] = option(
        "alternative shell for exec hooks and daemons", TEXTS
    )
    chdir: str | None = option("chdir before apps load", TEXT)
    chdir2: str | None = option("chdir after apps load", TEXT)
    check_interval: float = option(
        "master cycle length in seconds (default 1)",
        SECONDS,
        default=1.0,
        at_least=0,
        implies=("master",),
    )
    chroot: str | None = option("chroot to a directory while dropping privileges", TEXT)
    close_on_exec: bool = option("set FD_CLOEXEC on client connections", FLAG)
    close_on_exec2: bool = option("set FD_CLOEXEC on listeners", FLAG)
    command_mode: bool = option(
        "like no-server with quieter signal handling, for running commands", FLAG
    )
    daemonize: str | None = option(
        "detach early and write logs to the given file (or host:port for UDP)",
        TEXT,
        short="d",
    )
    daemonize2: str | None = option(
        "detach only after the apps are loaded; same value", TEXT
    )
    drop_after_apps: bool = option("drop privileges after apps are loaded", FLAG)
    drop_after_init: bool = option("drop privileges after plugin initialisation", FLAG)
    early_envdir: tuple[str, ...] = option("same, while parsing", TEXTS)
    env: tuple[str, ...] = option("NAME=value put in the environment", TEXTS)
    envdir: tuple[str, ...] = option(
        "directory of files turned into environment variables", TEXTS
    )
    file_write: tuple[str, ...] = option(
        "path=value: write a file before privilege drop", TEXTS
    )
    flock: str | None = option("lock a file at once; exit if someone holds it", TEXT)
    flock_wait: str | None = option("lock a file at once; wait for it", TEXT)
    flock_wait2: str | None = option(
        "lock a file after daemonize/log setup; wait for it", TEXT
    )
    flock2: str | None = option(
        "lock a file after daemonize/log setup; exit if held", TEXT
    )
    force_cwd: str | None = option(
        "override the working directory recorded at start", TEXT
    )
    gid: str | None = option("group (name or number) to switch to", TEXT)
    honour_stdin: bool = option("keep stdin instead of pointing it at /dev/null", FLAG)
    ienv: tuple[str, ...] = option(
        "set an environment variable while parsing", TEXTS, since="2.1"
    )
    immediate_gid: str | None = option("setgid while the option is parsed", TEXT)
    immediate_uid: str | None = option("setuid while the option is parsed", TEXT)
    master: bool = option(
        "run the master process (needed by respawn, timers, signals, stats, spooler, mules...)",
        FLAG,
        short="M",
    )
    master_as_root: bool = option("master keeps root while workers drop", FLAG)
    master_fifo: tuple[str, ...] = option(
        "named pipe accepting one-letter commands (repeat for slots 0-9)",
        TEXTS,
        implies=("master",),
    )
    max_fd: int = option("RLIMIT_NOFILE", INT, at_least=0)
    mode: str | None = option("free-form string shown as uwsgi.mode", TEXT)
    no_initgroups: bool = option("do not take the user's supplementary groups", FLAG)
    no_server: bool = option("load everything, then exit without serving", FLAG)
    no_threads_wait: bool = option(
        "do not wait for request threads at quit/reload", FLAG
    )
    notify_socket: str | None = option(
        "unix datagram socket for status notifications", TEXT, implies=("master",)
    )
    pidfile: str | None = option(
        "write the master pid to a file while still privileged", TEXT
    )
    pidfile2: str | None = option("write it after the uid/gid change", TEXT)
    procname: str | None = option("process title for all processes", TEXT)
    procname_append: str | None = option("string put after process titles", TEXT)
    procname_master: str | None = option("process title for the master", TEXT)
    procname_prefix: str | None = option("string put in front of process titles", TEXT)
    procname_prefix_spaced: str | None = option("same with a trailing blank", TEXT)
    safe_pidfile: str | None = option(
        "pidfile that is only removed/trusted if it still holds our pid", TEXT
    )
    safe_pidfile2: str | None = option("same, written after the uid/gid change", TEXT)
    skip_atexit: bool = option("skip plugin atexit hooks on exit", FLAG)
    skip_atexit_teardown: bool = option(
        "skip interpreter teardown at exit but still run the rest", FLAG
    )
    uid: str | None = option("user (name or number) to switch to", TEXT)
    unenv: tuple[str, ...] = option("remove an environment variable", TEXTS)
    vacuum: bool = option("remove sockets, pidfiles and similar at exit", FLAG)
