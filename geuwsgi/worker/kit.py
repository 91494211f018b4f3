"""What routing rules may use of the worker they run in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from geuwsgi.background import remote
from geuwsgi.background.alarms import encode_raise
from geuwsgi.background.builtinmetrics import BuiltinMetrics
from geuwsgi.errors import RemoteProtocolError
from geuwsgi.net.backlog import waiting_connections
from geuwsgi.offload.upstream import Connector
from geuwsgi.server.routing.kit import Kit
from geuwsgi.worker.procname import set_title

if TYPE_CHECKING:
    from geuwsgi.background.commons import Commons
    from geuwsgi.background.rpc import RpcTable
    from geuwsgi.net.listener import Listener
    from geuwsgi.server.static.build import FileService
    from geuwsgi.shared.arithmetic import Arithmetic


def kit_of(
    files: FileService,
    report: Callable[[str], None],
    *,
    connector: Connector,
    commons: Commons,
    builtin: BuiltinMetrics,
    functions: RpcTable,
    listeners: Iterable[Listener],
    worker_id: int,
) -> Kit:
    """Return the kit of one worker."""
    sockets = [listener.socket for listener in listeners]

    def metric(name: str) -> str:
        metrics = commons.metrics
        if metrics is None:
            return ""
        value = metrics.get(name)
        return str((builtin.get(name) if value is None else value) or 0)

    def change_metric(name: str, change: Arithmetic | None, amount: int) -> None:
        metrics = commons.metrics
        if metrics is not None:
            metrics.change(name, _set if change is None else change.apply, amount)

    def alarm(name: str, message: str) -> None:
        if commons.mailboxes is not None:
            text = message.encode("latin-1", "replace")
            commons.mailboxes.alarm_messages.send(encode_raise(name, text))

    return Kit(
        files,
        report,
        worker_id=worker_id,
        connector=connector,
        cache=commons.caches.named,
        signal=None if commons.router is None else commons.router.send,
        alarm=alarm,
        metric=metric,
        change_metric=change_metric,
        rpc=lambda name, arguments: _call(functions, name, arguments, report),
        set_title=set_title,
        backlog=lambda: sum(waiting_connections(sock)[0] for sock in sockets),
    )


def _set(old: int, new: int) -> int:
    return new


def _call(
    functions: RpcTable,
    name: str,
    arguments: list[bytes],
    report: Callable[[str], None],
) -> bytes | None:
    function, _, server = name.partition("@")
    if not server:
        return functions.call(function.encode(), arguments)
    try:
        return remote.call(server, function.encode(), arguments)
    except (OSError, RemoteProtocolError, ValueError) as exc:
        report(f"rpc {name}: {exc}")
        return None


def bare_kit(files: FileService) -> Kit:
    """Return a kit that rules can be read with, not run."""
    return Kit(
        files,
        lambda line: None,
        connector=Connector(None),
        signal=lambda number: None,
        alarm=lambda name, message: None,
        change_metric=lambda name, change, amount: None,
        rpc=lambda name, arguments: None,
        set_title=lambda title: None,
    )
