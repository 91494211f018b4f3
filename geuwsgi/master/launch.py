"""From a command line to a running instance: the steps that are taken once, in order.

Read the configuration, leave the terminal, open the log, write the pidfile, open the
sockets, drop privileges; then be the master, or become the lone worker. A reload
repeats the middle of it, in `Preparation.prepare`.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geuwsgi import __version__
from geuwsgi.config import Configuration, load
from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.master.daemon import Launcher, PidFile, redirect_log
from geuwsgi.master.loop import Master, log
from geuwsgi.master.prepared import Prepared, environ_of, plan_of
from geuwsgi.net.inherited import InheritedSocket, take_inherited
from geuwsgi.net.listeners import Listener, SocketOptions, open_listeners, to_wire
from geuwsgi.options import Settings
from geuwsgi.shared.scoreboard import Scoreboard
from geuwsgi.worker.boot import NO_FD, Boot, interpreter_arguments
from geuwsgi.worker.fork import become_subreaper
from geuwsgi.worker.privileges import Privileges, find_gid, find_uid
from geuwsgi.worker.procname import Titles


@dataclass(frozen=True)
class Command:
    """What the server was started with; a reload reads it again."""

    argv: tuple[str, ...]
    environ: Mapping[str, str]
    directory: str
    started_on: int

    @property
    def title(self) -> str:
        """What ``ps`` shows for processes without a title of their own."""
        return " ".join(("geuwsgi", *self.argv))

    def read_configuration(self) -> Configuration:
        """Read it where the server was started. Raises ConfigErrors."""
        os.chdir(self.directory)
        return load(self.argv, self.environ)


def launch(command: Command, configuration: Configuration) -> int:
    """Run the instance that ``configuration`` describes; return the exit status.

    Raises StartupError or ConfigErrors if it cannot start. A lone worker replaces this
    process, and nothing is returned.
    """
    settings = configuration.settings
    launcher = _leave_terminal(settings)
    status = 1
    try:
        _greet(configuration)
        pidfiles = _write_pidfiles(
            settings.process.pidfile, settings.process.safe_pidfile
        )
        status = _serve(command, configuration, launcher, pidfiles)
        return status
    except StartupError as exc:
        status = exc.exit_status
        raise
    finally:
        if launcher is not None:
            launcher.release(status)


def _serve(
    command: Command,
    configuration: Configuration,
    launcher: Launcher | None,
    pidfiles: list[PidFile],
) -> int:
    settings = configuration.settings
    environ = dict(command.environ)
    inherited = take_inherited(environ, os.getpid())
    _set_limits(settings)
    first = prepare(command, configuration, 1, (), environ=environ, inherited=inherited)
    try:
        if not settings.process.master_as_root:
            for line in Privileges.of(settings.process).take():
                log(line)
        if settings.logging.logto2:
            redirect_log(settings.logging.logto2)
        pidfiles += _write_pidfiles(
            settings.process.pidfile2, settings.process.safe_pidfile2
        )
        if is_lone(settings):
            if launcher is not None:
                launcher.release()
            _become_worker(command, first)
    except BaseException:
        first.close_listeners()
        first.close()
        raise
    return _supervise(command, first, environ, launcher, pidfiles)


def _supervise(
    command: Command,
    first: Prepared,
    environ: Mapping[str, str],
    launcher: Launcher | None,
    pidfiles: list[PidFile],
) -> int:
    settings = first.settings

    def prepare_next(number: int, existing: Sequence[Listener]) -> Prepared:
        configuration = command.read_configuration()
        _print_notes(configuration)
        return prepare(command, configuration, number, existing, environ=environ)

    def serving() -> None:
        if launcher is not None:
            launcher.release()

    if not become_subreaper():
        log("this system has no child subreapers: statuses of workers stay unknown")
    Titles.of(settings.process).set("master")
    log(f"spawned uWSGI master process (pid: {os.getpid()})")
    if launcher is not None and not settings.process.daemonize2:
        launcher.release()
    master = Master(
        first,
        prepare_next,
        started_on=command.started_on,
        title=command.title,
        when_serving=serving,
    )
    try:
        status = master.run()
    finally:
        if settings.process.vacuum:
            for pidfile in pidfiles:
                if pidfile.remove(os.getpid()):
                    log("VACUUM: pidfile removed.")
    log("goodbye to uWSGI.")
    return status


def prepare(
    command: Command,
    configuration: Configuration,
    number: int,
    existing: Sequence[Listener],
    *,
    environ: Mapping[str, str],
    inherited: Sequence[InheritedSocket] = (),
) -> Prepared:
    """Open what generation ``number`` needs.

    Raises StartupError or ConfigErrors; nothing is left open then.
    """
    settings = configuration.settings
    os.chdir(command.directory)
    if settings.process.chdir:
        try:
            os.chdir(settings.process.chdir)
        except OSError as exc:
            raise StartupError(
                f"chdir to {settings.process.chdir}: {(exc.strerror or '').lower()}"
            ) from exc
        log(f"chdir() to {settings.process.chdir}")
    if settings.sockets.umask is not None:
        os.umask(settings.sockets.umask)
    listeners = open_listeners(
        configuration.listeners,
        socket_options_of(settings),
        protocol=settings.sockets.protocol or "uwsgi",
        abstract=settings.sockets.abstract_socket,
        existing=existing,
        inherited=inherited,
    )
    plan = plan_of(settings)
    for index, listener in enumerate(listeners):
        if not any(listener.socket is known.socket for known in existing):
            log(listener.describe(index))
    return Prepared(
        number=number,
        configuration=configuration,
        listeners=listeners,
        scoreboard=Scoreboard.create(plan.slots or plan.default_slots()),
        plan=plan,
        environ=environ_of(settings, environ),
    )


def is_lone(settings: Settings) -> bool:
    """Whether one process does everything.

    Several workers without ``master`` get one all the same: uWSGI would leave them
    without supervision, which nobody wants.
    """
    return not settings.process.master and settings.workers.processes <= 1


def _become_worker(command: Command, first: Prepared) -> None:
    """Be the only process, in a fresh interpreter; does not return."""
    boot = Boot(
        generation=first.number,
        master_pid=0,
        started_on=command.started_on,
        scoreboard_fd=first.scoreboard.fileno,
        control_fd=NO_FD,
        configuration=first.configuration.to_json(),
        listeners=to_wire(first.listeners),
        title=command.title,
    )
    boot_fd = boot.write()
    for fileno in (boot_fd, *first.descriptors()):
        os.set_inheritable(fileno, True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, interpreter_arguments(boot_fd), dict(first.environ))


def socket_options_of(settings: Settings) -> SocketOptions:
    """How the sockets of ``settings`` are opened."""
    sockets = settings.sockets
    return SocketOptions(
        backlog=sockets.listen,
        mode=sockets.chmod_socket,
        owner=_owner(sockets.chown_socket) if sockets.chown_socket else None,
        reuse_port=sockets.reuse_port,
        freebind=sockets.freebind,
        keepalive=sockets.so_keepalive,
        fast_open=sockets.tcp_fast_open,
        receive_buffer=sockets.socket_rcvbuf,
        send_buffer=sockets.socket_sndbuf,
    )


def _owner(text: str) -> tuple[int, int]:
    user, _, group = text.partition(":")
    try:
        return (find_uid(user) if user else -1, find_gid(group) if group else -1)
    except StartupError as exc:
        raise ConfigError(f"chown-socket: {exc}") from exc


def _leave_terminal(settings: Settings) -> Launcher | None:
    process = settings.process
    log_path = process.daemonize or process.daemonize2 or settings.logging.logto
    launcher = None
    if process.daemonize or process.daemonize2:
        launcher = Launcher.detach()
    if log_path:
        redirect_log(log_path)
    return launcher


def _greet(configuration: Configuration) -> None:
    bits = 64 if sys.maxsize > 2**32 else 32
    now = time.strftime("%a %b %e %H:%M:%S %Y")
    log(f"*** Starting geuwsgi {__version__} ({bits}bit) on [{now}] ***")
    uname = os.uname()
    log(f"os: {uname.sysname}-{uname.release} {uname.version}")
    log(f"nodename: {uname.nodename}")
    log(f"machine: {uname.machine}")
    log(f"Python version: {platform.python_version()}")
    log(f"current working directory: {os.getcwd()}")
    log(f"detected number of CPU cores: {os.cpu_count()}")
    if os.getuid() == 0 and not configuration.settings.process.uid:
        log("*** WARNING: the server runs as root (use the --uid option) ***")
    _print_notes(configuration)


def _print_notes(configuration: Configuration) -> None:
    for note in configuration.notes:
        log(str(note))


def _write_pidfiles(*paths: str | None) -> list[PidFile]:
    pidfiles = [PidFile(path) for path in paths if path]
    for pidfile in pidfiles:
        log(f"writing pidfile to {pidfile.path}")
        pidfile.write(os.getpid())
    return pidfiles


def _set_limits(settings: Settings) -> None:
    wanted = (
        ("max-fd", resource.RLIMIT_NOFILE, settings.process.max_fd),
        ("limit-as", resource.RLIMIT_AS, settings.limits.limit_as),
        ("limit-nproc", resource.RLIMIT_NPROC, settings.limits.limit_nproc),
    )
    for name, which, value in wanted:
        if value:
            _, hard = resource.getrlimit(which)
            if hard not in (resource.RLIM_INFINITY,) and os.getuid() != 0:
                value = min(value, hard)
            try:
                resource.setrlimit(
                    which, (value, max(value, hard) if hard >= 0 else hard)
                )
            except (OSError, ValueError) as exc:
                raise StartupError(f"{name}: cannot be set to {value}: {exc}") from exc
    if settings.limits.prio:
        os.setpriority(os.PRIO_PROCESS, 0, settings.limits.prio)
