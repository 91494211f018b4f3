"""The process: privileges, directories, environment, titles."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS


class Process(Section):
    """The process: privileges, directories, environment, titles."""

    add_gid: tuple[str, ...] = option("give the processes this group, too", TEXTS)
    auto_procname: bool = option(
        "give each process a title that tells what it is", FLAG
    )
    binsh: tuple[str, ...] = option("run commands with this shell", TEXTS)
    cap: str | None = option(
        "keep these Linux capabilities when the user changes: name,name",
        TEXT,
        differs="the names are those of capabilities(7); root without uid gets them back at an exec",
    )
    chdir: str | None = option(
        "change to this directory before applications are loaded", TEXT
    )
    chdir2: str | None = option(
        "change to this directory after applications were loaded", TEXT
    )
    check_interval: float = option(
        "have the master look after things every this many seconds",
        SECONDS,
        default=1.0,
        at_least=0,
        implies=("master",),
    )
    chroot: str | None = option("make this the root directory", TEXT)
    close_on_exec: bool = option(
        "close connections in programs that the application starts", FLAG
    )
    close_on_exec2: bool = option(
        "close listening sockets in programs that the application starts", FLAG
    )
    command_mode: bool = option("run a command and exit, quietly", FLAG)
    daemonize: str | None = option(
        "go to the background and write the log to this file or UDP address",
        TEXT,
        short="d",
    )
    daemonize2: str | None = option(
        "go to the background after applications were loaded", TEXT
    )
    drop_after_apps: bool = option(
        "drop privileges only after applications were loaded",
        FLAG,
        differs="the master stays root, to load the next generation as root",
    )
    early_envdir: tuple[str, ...] = option(
        "set environment variables from the files of this directory, early", TEXTS
    )
    env: tuple[str, ...] = option("set an environment variable: NAME=value", TEXTS)
    envdir: tuple[str, ...] = option(
        "set environment variables from the files of this directory", TEXTS
    )
    file_write: tuple[str, ...] = option("write a file at start: path=content", TEXTS)
    flock: str | None = option("lock this file; exit if another process holds it", TEXT)
    flock_wait: str | None = option(
        "lock this file; wait for a process that holds it", TEXT
    )
    flock_wait2: str | None = option(
        "lock this file after going to the background; wait for a process that holds it",
        TEXT,
    )
    flock2: str | None = option(
        "lock this file after going to the background; exit if another process holds it",
        TEXT,
    )
    force_cwd: str | None = option(
        "take this for the directory the server was started in", TEXT
    )
    gid: str | None = option("run as this group", TEXT)
    honour_stdin: bool = option("keep the standard input", FLAG)
    ienv: tuple[str, ...] = option(
        "set an environment variable (NAME=value) for the rest of the configuration",
        TEXTS,
        since="2.1",
    )
    immediate_gid: str | None = option("run as this group from here on", TEXT)
    immediate_uid: str | None = option("run as this user from here on", TEXT)
    master: bool = option("run a master that supervises the workers", FLAG, short="M")
    master_as_root: bool = option("keep the master root", FLAG)
    master_fifo: tuple[str, ...] = option(
        "take commands from this named pipe", TEXTS, implies=("master",)
    )
    max_fd: int = option(
        "limit the number of open descriptors of a process", INT, at_least=0
    )
    mode: str | None = option("name the mode of the instance, as uwsgi.mode", TEXT)
    no_initgroups: bool = option("do not take the user's other groups", FLAG)
    no_server: bool = option("load everything and exit", FLAG)
    no_threads_wait: bool = option("do not wait for threads at the end", FLAG)
    notify_socket: str | None = option(
        "send status messages to this socket", TEXT, implies=("master",)
    )
    pidfile: str | None = option("write the pid of the master to this file", TEXT)
    pidfile2: str | None = option(
        "write the pid of the master to this file after privileges were dropped", TEXT
    )
    procname: str | None = option("give all processes this title", TEXT)
    procname_append: str | None = option("end process titles with this", TEXT)
    procname_master: str | None = option("give the master this title", TEXT)
    procname_prefix: str | None = option("begin process titles with this", TEXT)
    procname_prefix_spaced: str | None = option(
        "begin process titles with this and a blank", TEXT
    )
    safe_pidfile: str | None = option(
        "write the pid of the master to this file, and remove it only if it is ours",
        TEXT,
    )
    safe_pidfile2: str | None = option(
        "write a safe pidfile after privileges were dropped", TEXT
    )
    skip_atexit: bool = option("leave out Python's exit functions", FLAG)
    skip_atexit_teardown: bool = option(
        "leave out the end of the interpreter at exit", FLAG
    )
    uid: str | None = option("run as this user", TEXT)
    unenv: tuple[str, ...] = option("remove an environment variable", TEXTS)
    vacuum: bool = option("remove sockets and pidfiles at the end", FLAG)
