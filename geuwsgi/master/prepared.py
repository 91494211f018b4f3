"""A generation's resources: configuration, listeners, shared memory.

Opened before its template starts, closed when its last process has ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from geuwsgi.background.commons import Commons
from geuwsgi.config import Configuration
from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.master.plan import Plan, Role, has_application, plan_of
from geuwsgi.master.stores import wait_for_stores
from geuwsgi.master.zergling import take_zerg_sockets, without_doubles
from geuwsgi.net.heldfiles import hold_files
from geuwsgi.net.inherited import InheritedSocket
from geuwsgi.net.listeners import Listener, SocketOptions, dropped, open_listeners
from geuwsgi.options import Settings
from geuwsgi.routers.plan import check_plan, for_workers
from geuwsgi.shared.scoreboard import Scoreboard
from geuwsgi.worker.hooks import check_hooks
from geuwsgi.worker.privileges import find_gid, find_uid


@dataclass(slots=True, eq=False)
class Prepared:
    """What the master holds for one generation.

    ``environ`` is what its processes get. ``held`` has copies of files that it cannot
    read any more, made at the start and closed with the process. ``commons`` is handed from one generation to
    the next, which keeps of it what its options still ask for.
    """

    number: int
    configuration: Configuration
    listeners: list[Listener]
    scoreboard: Scoreboard
    commons: Commons
    plan: Plan
    environ: Mapping[str, str]
    held: Mapping[str, int] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return self.configuration.settings

    def descriptors(self) -> list[int]:
        """What a template must inherit."""
        filenos = {listener.fileno() for listener in self.listeners}
        filenos.add(self.scoreboard.fileno)
        filenos.update(self.commons.descriptors())
        filenos.update(self.held.values())
        return sorted(filenos)

    def close_listeners(self, kept: Sequence[Listener] = ()) -> None:
        """Close those of its listeners that are not on a socket of ``kept``."""
        for listener in dropped(self.listeners, kept):
            listener.close(vacuum=self.settings.process.vacuum)

    def leave_ports(self) -> None:
        """Close what other servers listen on as well; workers accept what waits."""
        for listener in self.listeners:
            listener.leave_port()

    def close(self, successor: Prepared | None = None) -> None:
        """Free the shared memory that ``successor`` has not taken over.

        The listeners are closed apart.
        """
        self.scoreboard.close()
        if successor is None:
            self.commons.close()
        elif self.commons is not successor.commons:
            self.commons.release(successor.commons)


# Reads the configuration anew as generation n, after the one that serves now.
Prepare = Callable[[int, Prepared], Prepared]


def prepare(
    configuration: Configuration,
    number: int,
    *,
    directory: str,
    environ: Mapping[str, str],
    log: Callable[[str], None],
    former: Prepared | None = None,
    inherited: Sequence[InheritedSocket] = (),
) -> Prepared:
    """Open what generation ``number`` needs; go to the directory it works in.

    What ``former`` has open on the same addresses is kept. Raises StartupError,
    ConfigError or ConfigErrors; nothing is left open then.
    """
    settings = configuration.settings
    check_hooks(settings.hooks)  # before anything opens
    check_plan(configuration)
    plan = plan_of(settings)
    _change_directory(directory, settings.process.chdir, log)
    if settings.sockets.umask is not None:
        os.umask(settings.sockets.umask)
    existing = former.listeners if former is not None else ()
    zerg_sockets = take_zerg_sockets(settings, log)
    listeners = open_listeners(
        configuration.listeners,
        socket_options_of(settings),
        protocol=settings.sockets.protocol or "uwsgi",
        abstract=settings.sockets.abstract_socket,
        existing=existing,
        inherited=[*inherited, *zerg_sockets],
    )
    if zerg_sockets:
        listeners = without_doubles(listeners)
    if former is not None:
        listeners = _without_copies(listeners)
    try:
        if former is None:
            # Clients wait meanwhile, on the sockets that are open.
            wait_for_stores(settings, log)
        commons = Commons.create(
            settings, previous=former.commons if former else None, log=log
        )
    except BaseException:
        for listener in dropped(listeners, existing):
            listener.close(vacuum=True)
        raise
    if not for_workers(listeners, settings) and (
        settings.subscription.zergpool
        or settings.emperor.emperor
        or (plan.members[Role.ROUTER] and not has_application(settings))
    ):
        plan = replace(plan, members={**plan.members, Role.WORKER: 0}, first_workers=0)
    known = {id(listener.socket) for listener in existing}
    for index, listener in enumerate(listeners):
        if id(listener.socket) not in known:
            log(listener.describe(index))
    return Prepared(
        number=number,
        configuration=configuration,
        listeners=listeners,
        scoreboard=Scoreboard.create(plan.slots or plan.default_slots()),
        commons=commons,
        plan=plan,
        environ=environ_of(settings, environ),
        held=former.held if former is not None else {},
    )


def hold_certificates(prepared: Prepared) -> None:
    """Copy the keys and certificates of ``prepared``, for it and its successors."""
    # The master needs ssl for nothing else.
    from geuwsgi.net.tlsoptions import certificate_files

    http = prepared.settings.http
    prepared.held = hold_files(
        path
        for listener in prepared.listeners
        if listener.tls
        for path in certificate_files(listener.kind, listener.tls, http)
    )


def _without_copies(listeners: list[Listener]) -> list[Listener]:
    """Close inherited sockets that an earlier listener has already.

    They are passed at each reload, for options of the new configuration or for none.
    """
    kept: dict[int, Listener] = {}
    for listener in listeners:
        number = os.fstat(listener.fileno()).st_ino
        if listener.inherited and number in kept:
            listener.close()
        else:
            kept.setdefault(number, listener)
    return [listener for listener in listeners if listener.fileno() >= 0]


def _change_directory(
    start: str, chdir: str | None, log: Callable[[str], None]
) -> None:
    try:
        os.chdir(start)
        if chdir:
            os.chdir(chdir)
            log(f"chdir() to {chdir}")
    except OSError as exc:
        reason = (exc.strerror or str(exc)).lower()
        raise StartupError(f"chdir to {chdir or start}: {reason}") from exc


def environ_of(settings: Settings, base: Mapping[str, str]) -> dict[str, str]:
    """``base`` changed as the options ``env``, ``unenv`` and ``envdir`` say.

    Raises StartupError for a directory that cannot be read.
    """
    environ = dict(base)
    process = settings.process
    for directory in (*process.early_envdir, *process.envdir):
        environ.update(_read_envdir(directory))
    for assignment in settings.process.env:
        name, _, value = assignment.partition("=")
        environ[name.strip()] = value
    for name in settings.process.unenv:
        environ.pop(name, None)
    return environ


def _read_envdir(directory: str) -> dict[str, str]:
    """A file is a variable, its first line the value, as in daemontools' envdir."""
    variables: dict[str, str] = {}
    try:
        for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
            if entry.is_file() and "=" not in entry.name:
                with open(entry.path, encoding="utf-8", errors="surrogateescape") as f:
                    variables[entry.name] = f.readline().rstrip(" \t\r\n")
    except OSError as exc:
        raise StartupError(f"envdir {directory}: {exc.strerror}") from exc
    return variables


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
