"""From a command line to a running instance: the steps that are taken once, in order.

Leave the terminal, open the log, write the pidfile, open the sockets, drop privileges;
then be the master, or become the lone worker. A reload repeats the middle of it
(`geuwsgi.master.prepared`).
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

from geuwsgi import __version__
from geuwsgi.config import Configuration, load
from geuwsgi.errors import GeuwsgiError, StartupError
from geuwsgi.log.output import Output, open_output
from geuwsgi.log.stderr import log
from geuwsgi.master.allegiance import is_vassal
from geuwsgi.master.daemon import Launcher, PidFile
from geuwsgi.master.prepared import (
    Prepared,
    environ_of,
    hold_certificates,
    prepare,
)
from geuwsgi.master.staying import forget_start, may_stay
from geuwsgi.master.steps import take_locks, write_files
from geuwsgi.net.inherited import (
    InheritedSocket,
    take_inherited,
    take_standard_input,
)
from geuwsgi.net.listeners import to_wire
from geuwsgi.options import Settings
from geuwsgi.routers.plan import active_kinds
from geuwsgi.worker.boot import NO_FD, Boot, interpreter_arguments
from geuwsgi.worker.fork import become_subreaper
from geuwsgi.worker.hooks import HookRunner, actions_of, check_hooks
from geuwsgi.worker.privileges import Privileges, master_stays_root
from geuwsgi.worker.procname import Titles, set_title
from geuwsgi.worker.waiting import wait_for_all


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


#: Is told the descriptor of a boot record.
BeWorker = Callable[[int], NoReturn]


def launch(
    command: Command, configuration: Configuration, be_worker: BeWorker | None = None
) -> int:
    """Run the instance that ``configuration`` describes; return the exit status.

    Raises a GeuwsgiError if it cannot start. A lone worker replaces this process, and
    nothing is returned: by calling ``be_worker`` where that does.
    """
    process = configuration.settings.process
    if process.immediate_uid or process.immediate_gid:
        Privileges.named(process.immediate_uid, process.immediate_gid).take()
    if process.force_cwd:
        command = replace(command, directory=process.force_cwd)
    shell = shell_of(configuration)
    if shell is not None:
        output = _open_output(configuration.settings)
        _Launch(command, configuration, output, None).be_shell(shell)
    launcher = None
    wants_background = process.daemonize or process.daemonize2
    # An emperor watches the process that it started: only the log goes elsewhere.
    if wants_background and not is_vassal(command.environ):
        launcher = Launcher.detach()
    status = 1
    # A reload that is asked for while the first generation is being built waits.
    former_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        output = _open_output(configuration.settings)
        try:
            status = _Launch(command, configuration, output, launcher, be_worker).run()
        except GeuwsgiError as exc:
            log(str(exc))  # where the log is, which may not be where the user sits
            status = exc.exit_status if isinstance(exc, StartupError) else 1
        finally:
            output.close()
        return status
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former_mask)
        if launcher is not None:
            launcher.release(status)


def shell_of(configuration: Configuration) -> str | None:
    """The code to run in place of serving, empty for a shell; None serves."""
    if configuration.commands.pyrun:
        path = configuration.commands.pyrun
        return f"import runpy; runpy.run_path({path!r}, run_name='__main__')"
    if configuration.commands.test:
        name = configuration.commands.test
        return f"import importlib; importlib.import_module({name!r})"
    if configuration.settings.process.no_server:
        return "print('no-server mode requested. Goodbye.')"
    for name in ("pyshell", "pyshell-oneshot"):
        asked = configuration.opt.get(name)
        if asked is not None:
            return "" if isinstance(asked, bool) else asked.decode()
    return None


def _open_output(settings: Settings) -> Output:
    process = settings.process
    target = process.daemonize or process.daemonize2 or settings.logging.logto or ""
    privileges = Privileges.of(process)
    owner = (
        -1 if privileges.uid is None else privileges.uid,
        -1 if privileges.gid is None else privileges.gid,
    )
    return open_output(
        settings.logging,
        target=target,
        owner=owner,
        touch_reopen=settings.reload.touch_logreopen,
        touch_rotate=settings.reload.touch_logrotate,
    )


@dataclass(eq=False)
class _Launch:
    command: Command
    configuration: Configuration
    output: Output
    launcher: Launcher | None
    be_worker: BeWorker | None = None
    pidfiles: list[PidFile] = field(default_factory=list)
    held: list[InheritedSocket] = field(default_factory=list)

    def run(self) -> int:
        settings = self.configuration.settings
        process = settings.process
        greet(self.configuration)
        take_locks(process, log)
        check_hooks(settings.hooks)
        self._run_hooks("asap")
        wait_for_all(settings.hooks, log)
        self._write_pidfiles(process.pidfile, process.safe_pidfile)
        write_files(process.file_write)
        try:
            environ = dict(self.command.environ)
            inherited = take_inherited(environ, os.getpid()) + take_standard_input()
            # Whoever passed them holds them too: what a reload closes could never be
            # opened again.
            self.held = [_held(passed) for passed in inherited]
            set_limits(settings)
            check_purpose(self.configuration, has_inherited=bool(inherited))
            first = prepare(
                self.configuration,
                1,
                directory=self.command.directory,
                environ=environ,
                log=log,
                inherited=inherited,
            )
            try:
                if os.getuid() == 0 and (process.uid or process.gid):
                    hold_certificates(first)
                self._settle_down(settings)
                if is_only_emperor(settings, has_listeners=bool(first.listeners)):
                    return self._reign(first)
                if is_lone(settings) and not is_vassal(environ):
                    self._become_worker(first)
            except BaseException:
                first.close_listeners()
                first.close()
                raise
            return self._supervise(first, environ)
        finally:
            self._run_hooks("as_user_atexit")
            if process.vacuum:
                for pidfile in self.pidfiles:
                    if pidfile.remove(os.getpid()):
                        log("VACUUM: pidfile removed.")

    def _run_hooks(self, phase: str) -> None:
        settings = self.configuration.settings
        environ = environ_of(settings, self.command.environ)
        HookRunner(log, environ).run(phase, actions_of(settings.hooks, phase))

    def _settle_down(self, settings: Settings) -> None:
        """What comes after the sockets are open."""
        process = settings.process
        privileges = Privileges.of(process)
        self._run_hooks("pre_jail")
        for line in privileges.enter_jail():
            log(line)
        self._run_hooks("in_jail")
        self._run_hooks("post_jail")
        self._run_hooks("as_root")
        if not master_stays_root(process):
            for line in privileges.take():
                log(line)
            self._run_hooks("as_user")
        if settings.logging.logto2:
            self.output.redirect(settings.logging.logto2)
        self._write_pidfiles(process.pidfile2, process.safe_pidfile2)

    def _write_pidfiles(self, path: str | None, safe_path: str | None) -> None:
        if path:
            self._write_pidfile(PidFile(path))
        if safe_path:
            pidfile = PidFile(safe_path)
            pidfile.check_free()
            self._write_pidfile(pidfile)

    def _write_pidfile(self, pidfile: PidFile) -> None:
        log(f"writing pidfile to {pidfile.path}")
        pidfile.write(os.getpid())
        self.pidfiles.append(pidfile)

    def _rewrite_pidfiles(self) -> None:
        for pidfile in self.pidfiles:
            log(f"writing pidfile to {pidfile.path}")
            pidfile.write(os.getpid())

    def _supervise(self, first: Prepared, environ: Mapping[str, str]) -> int:
        # What a lone worker can do without costs it a third of the time to start.
        from geuwsgi.master.loop import Master

        def prepare_next(number: int, former: Prepared) -> Prepared:
            configuration = self.command.read_configuration()
            print_notes(configuration)
            return prepare(
                configuration,
                number,
                directory=self.command.directory,
                environ=environ,
                log=log,
                former=former,
                inherited=[InheritedSocket(os.dup(s.fd), s.name) for s in self.held],
            )

        process = first.settings.process
        if not become_subreaper():
            log("this system has no child subreapers: how workers end stays unknown")
        Titles.of(process).set("master")
        log(f"spawned uWSGI master process (pid: {os.getpid()})")
        if not process.daemonize2:
            self._release()
        master = Master(
            first,
            prepare_next,
            output=self.output,
            started_on=self.command.started_on,
            title=self.command.title,
            when_serving=self._release,
            write_pidfiles=self._rewrite_pidfiles,
        )
        status = master.run()
        log("goodbye to uWSGI.")
        return status

    def _reign(self, first: Prepared) -> int:
        """Be an emperor, and nothing else."""
        from geuwsgi.master.emperor import Rule
        from geuwsgi.master.throne import Throne

        settings = first.settings
        options = settings.emperor
        titles = Titles.of(settings.process)
        if options.emperor_procname:
            set_title(options.emperor_procname)
        else:
            titles.set("emperor")
        rule = Rule.of(settings, first.environ, os.getcwd())
        if options.emperor_subreaper:
            become_subreaper()
        self._release()
        first.close()
        throne = Throne(
            rule,
            log,
            every_turn=self.output.tick,
        )
        status = throne.run()
        log("goodbye to uWSGI.")
        return status

    def _release(self) -> None:
        if self.launcher is not None:
            self.launcher.release()

    def be_shell(self, code: str) -> NoReturn:
        """Load the application, open no socket and run a Python shell."""
        first = prepare(
            self.configuration.replace(listeners=()),
            1,
            directory=self.command.directory,
            environ=self.command.environ,
            log=log,
        )
        for line in Privileges.of(first.settings.process).take():
            log(line)
        self._become_worker(first, code)

    def _become_worker(self, first: Prepared, shell: str | None = None) -> NoReturn:
        """Be the only process, in an interpreter that is fresh or as good as that."""
        self._release()
        boot = Boot(
            generation=first.number,
            master_pid=0,
            started_on=self.command.started_on,
            scoreboard_fd=first.scoreboard.fileno,
            control_fd=NO_FD,
            request_log_fd=self.output.request_fd,
            configuration=first.configuration.to_json(),
            listeners=to_wire(first.listeners),
            commons=first.commons.to_wire(),
            title=self.command.title,
            held=dict(first.held),
            shell=shell,
        )
        boot_fd = boot.write()
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        directory = self.command.directory
        if (
            self.be_worker is not None
            and shell is None
            and may_stay(first.settings, first.commons, first.environ, directory)
        ):
            forget_start(directory)
            self.output.close()
            for passed in self.held:
                os.close(passed.fd)
            self.be_worker(boot_fd)
        for fileno in (boot_fd, *first.descriptors()):
            os.set_inheritable(fileno, True)
        arguments = interpreter_arguments(
            boot_fd, is_template=False, optimize=first.settings.python.optimize
        )
        os.execve(sys.executable, arguments, dict(first.environ))


def is_lone(settings: Settings) -> bool:
    """Whether one process does everything.

    Several workers without ``master`` get one all the same: uWSGI would leave them
    without supervision, which nobody wants. Loggers need somebody who reads the log.
    """
    return not (
        settings.process.master
        or settings.workers.processes != 1
        or settings.logging.log_master
        or settings.emperor.emperor
        or settings.subscription.zergpool
        or active_kinds(settings)
    )


def _held(passed: InheritedSocket) -> InheritedSocket:
    try:
        return InheritedSocket(os.dup(passed.fd), passed.name)
    except OSError as exc:
        raise StartupError(f"LISTEN_FDS: descriptor {passed.fd} is not open") from exc


def is_only_emperor(settings: Settings, *, has_listeners: bool) -> bool:
    """Whether there is nothing to do but look after vassals."""
    python, daemons, signals = settings.python, settings.daemons, settings.signals
    return bool(settings.emperor.emperor) and not any(
        (
            has_listeners,
            python.module,
            python.wsgi_file,
            python.mount,
            daemons.changed(),
            signals.changed(),
            settings.mules.changed(),
            settings.spooler.changed(),
            settings.stats.stats,
            settings.logging.log_master,
            settings.process.master_fifo,
            settings.subscription.zergpool,
        )
    )


def check_purpose(configuration: Configuration, *, has_inherited: bool) -> None:
    """Raise StartupError if there is nothing the instance could do."""
    settings = configuration.settings
    if configuration.listeners or has_inherited:
        return
    if not any(
        (
            settings.daemons.attach_daemon,
            settings.daemons.attach_daemon2,
            settings.daemons.smart_attach_daemon,
            settings.daemons.smart_attach_daemon2,
            settings.emperor.emperor,
            settings.process.no_server,
            settings.signals.cron,
            settings.signals.cron2,
            settings.spooler.spooler,
            settings.subscription.zerg,
            settings.subscription.zergpool,
        )
    ):
        raise StartupError(
            "there is nothing to listen on: name an address "
            "(http = :8080, socket = /run/site.sock, …)"
        )


def greet(configuration: Configuration) -> None:
    """Say what starts here, and what the user should know of the configuration."""
    bits = 64 if sys.maxsize > 2**32 else 32
    now = time.strftime("%a %b %e %H:%M:%S %Y")
    log(f"*** Starting geuwsgi {__version__} ({bits}bit) on [{now}] ***")
    uname = os.uname()
    log(f"os: {uname.sysname}-{uname.release} {uname.version}")
    log(f"nodename: {uname.nodename}")
    log(f"machine: {uname.machine}")
    log(f"Python version: {sys.version.split()[0]}")
    log(f"current working directory: {os.getcwd()}")
    log(f"detected number of CPU cores: {os.cpu_count()}")
    if os.getuid() == 0 and not configuration.settings.process.uid:
        log("*** WARNING: the server runs as root (use the --uid option) ***")
    print_notes(configuration)


def print_notes(configuration: Configuration) -> None:
    for note in configuration.notes:
        log(str(note))


def set_limits(settings: Settings) -> None:
    """Take max-fd, limit-as, limit-nproc and prio. Raises StartupError."""
    wanted = (
        ("max-fd", resource.RLIMIT_NOFILE, settings.process.max_fd),
        ("limit-as", resource.RLIMIT_AS, settings.limits.limit_as),
        ("limit-nproc", resource.RLIMIT_NPROC, settings.limits.limit_nproc),
    )
    for name, which, value in wanted:
        if not value:
            continue
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            hard = max(hard, value) if os.getuid() == 0 else hard
            value = min(value, hard)
        try:
            resource.setrlimit(which, (value, hard))
        except (OSError, ValueError) as exc:
            raise StartupError(f"{name}: cannot be set to {value}: {exc}") from exc
    if settings.limits.prio:
        os.setpriority(os.PRIO_PROCESS, 0, settings.limits.prio)
