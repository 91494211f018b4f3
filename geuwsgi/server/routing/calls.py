"""Actions that reach into the process: remote functions, metrics, its title.

A remote function is named ``name`` or ``name@server``; its arguments follow, separated
by blanks, and may hold variables. One that does not exist and one that raises give no
result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError, RemoteProtocolError
from geuwsgi.protocol.upstream import parse_response_head
from geuwsgi.server.routing.answers import answer, answer_status, drop
from geuwsgi.server.routing.kit import Kit
from geuwsgi.server.routing.visit import Outcome
from geuwsgi.shared.arithmetic import Arithmetic

if TYPE_CHECKING:
    from geuwsgi.server.routing.actions import Action, ActionFactory
    from geuwsgi.server.routing.visit import Visit

Call = Callable[["Visit"], "bytes | None"]


def _call_of(argument: str, kit: Kit, action: str) -> Call:
    call = kit.rpc
    if call is None:
        raise ConfigError(f"{action}: there are no remote functions in this process")
    name, *rest = argument.split() or [""]
    if not name:
        raise ConfigError(f"{action} needs the name of a function")
    templates = [kit.template(word) for word in rest]

    def run(visit: Visit) -> bytes | None:
        arguments = [
            template.render(visit).encode("latin-1", "replace")
            for template in templates
        ]
        return call(name, arguments)

    return run


def _answering(action: str, otherwise: Outcome) -> ActionFactory:
    """Answer with what the function returns; ``otherwise`` is for no result."""

    def make(argument: str, kit: Kit) -> Action:
        call = _call_of(argument, kit, action)

        def act(visit: Visit) -> Outcome:
            result = call(visit)
            if result:
                answer(visit.exchange, "200 OK", result)
                return Outcome.BREAK
            if otherwise is Outcome.BREAK:
                answer_status(visit.exchange, 404)
            return otherwise

        return act

    return make


def _rpcraw(argument: str, kit: Kit) -> Action:
    call = _call_of(argument, kit, "rpcraw")

    def act(visit: Visit) -> Outcome:
        head, _, body = (call(visit) or b"").partition(b"\r\n\r\n")
        try:
            response = parse_response_head(head)
        except RemoteProtocolError as exc:
            kit.report(f"rpcraw: {exc}")
            answer_status(visit.exchange, 502)
        else:
            fields = response.end_to_end_fields()
            names = {name.lower() for name, _ in fields}
            exchange = visit.exchange
            if "content-length" in names:
                exchange.start_response(response.status, fields)
                exchange.write_whole(body)
            else:
                answer(exchange, response.status, body, fields)
        return Outcome.BREAK

    return act


def _rpcret(argument: str, kit: Kit) -> Action:
    call = _call_of(argument, kit, "rpcret")

    def act(visit: Visit) -> Outcome:
        result = (call(visit) or b"break").decode("latin-1")
        if result == "next":
            return Outcome.NEXT
        if result.startswith("goto "):
            visit.label = result[5:].strip()
            return Outcome.NEXT
        if result == "break":
            drop(visit.exchange)
            return Outcome.BREAK
        return Outcome.LAST

    return act


def _rpcvar(argument: str, kit: Kit) -> Action:
    name, _, rest = argument.partition(" ")
    if not name or name.startswith("wsgi."):
        raise ConfigError(f"rpcvar needs the name of a variable: {argument!r}")
    call = _call_of(rest, kit, "rpcvar")

    def act(visit: Visit) -> Outcome:
        visit.environ[name] = (call(visit) or b"").decode("latin-1")
        return Outcome.NEXT

    return act


def _metric(change: Arithmetic | None) -> ActionFactory:
    def make(argument: str, kit: Kit) -> Action:
        change_metric = kit.change_metric
        if change_metric is None:
            raise ConfigError("there are no metrics in this process")
        name, comma, value = argument.partition(",")
        if not name:
            raise ConfigError(f"the action needs the name of a metric: {argument!r}")
        name_template = kit.template(name)
        template = kit.template(value if comma else "1")

        def act(visit: Visit) -> Outcome:
            text = template.render(visit).strip()
            try:
                amount = int(text)
            except ValueError:
                amount = 0
            change_metric(name_template.render(visit), change, amount)
            return Outcome.NEXT

        return act

    return make


def _set_process_name(argument: str, kit: Kit) -> Action:
    set_title = kit.set_title
    if set_title is None:
        raise ConfigError("setprocname: this process has no title")
    template = kit.template(argument)

    def act(visit: Visit) -> Outcome:
        set_title(template.render(visit))
        return Outcome.NEXT

    return act


CALL_ACTIONS: Mapping[str, ActionFactory] = {
    "call": _answering("call", Outcome.BREAK),
    "metricset": _metric(None),
    **{f"metric{change.value}": _metric(change) for change in Arithmetic},
    "rpc": _answering("rpc", Outcome.BREAK),
    "rpcblob": _answering("rpcblob", Outcome.NEXT),
    "rpcnext": _answering("rpcnext", Outcome.NEXT),
    "rpcraw": _rpcraw,
    "rpcret": _rpcret,
    "rpcvar": _rpcvar,
    "setprocname": _set_process_name,
}
