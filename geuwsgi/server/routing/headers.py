"""Header fields of every response, and the rules of ``response-route*``.

``HeaderFilter`` is a response filter: it runs once the response's head is known and
before it is rendered, whoever made the response. In this order: fields are copied or
moved to request variables (``collect-header``, ``pull-header``), the response's rules
run, fields are removed (``del-header``), then added (``add-header``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.server.routing.actions import (
    Action,
    ActionFactory,
    add_header,
    parse_status,
)
from geuwsgi.server.routing.chain import Chain
from geuwsgi.server.routing.kit import Kit
from geuwsgi.server.routing.visit import Outcome, Visit

if TYPE_CHECKING:
    from geuwsgi.options import Headers
    from geuwsgi.server.exchange import Exchange


def parse_field(value: str, option: str) -> tuple[str, str]:
    """Parse ``Name: value`` of an option."""
    name, colon, text = value.partition(":")
    name = name.strip()
    if not colon or not name:
        raise ConfigError(f"{option} needs 'Name: value': {value!r}")
    return name, text.strip().encode("utf-8", "surrogateescape").decode("latin-1")


def _parse_collection(value: str, option: str) -> tuple[str, str]:
    field, _, variable = value.strip().partition(" ")
    if not field or not variable.strip():
        raise ConfigError(f"{option} needs 'Name VARIABLE': {value!r}")
    return field.lower(), variable.strip()


class HeaderFilter:
    """Changes the heads of responses by options and rules."""

    def __init__(self, headers: Headers, rules: Chain) -> None:
        """Raises ConfigError for an option that makes no sense."""
        self._rules = rules
        self._collected = tuple(
            _parse_collection(value, "collect-header")
            for value in headers.collect_header
        )
        self._pulled = tuple(
            _parse_collection(value, "pull-header") for value in headers.pull_header
        )
        self._removed = tuple(name.strip().lower() for name in headers.del_header)
        self._added = [parse_field(value, "add-header") for value in headers.add_header]

    def __bool__(self) -> bool:
        return bool(
            self._rules
            or self._collected
            or self._pulled
            or self._removed
            or self._added
        )

    def __call__(self, exchange: Exchange) -> None:
        """Change ``exchange.headers``, or answer in the application's place."""
        # A rule that answers comes by here again with its own response.
        if not exchange.replaceable:
            self._collect(exchange)
            if self._rules:
                exchange.replaceable = True
                if self._rules.run(Visit(exchange)) is Outcome.BREAK:
                    exchange.finish()
                exchange.replaceable = False
                if exchange.complete:
                    return
        removed = self._removed + exchange.removed_headers
        if removed or self._added:
            kept = [
                field
                for field in exchange.headers or ()
                if field[0].lower() not in removed
            ]
            exchange.headers = kept + self._added

    def _collect(self, exchange: Exchange) -> None:
        if not self._collected and not self._pulled:
            return
        found = {name.lower(): value for name, value in exchange.headers or ()}
        for field, variable in (*self._collected, *self._pulled):
            if field in found:
                exchange.environ[variable] = found[field]
        if self._pulled:
            pulled = {field for field, _ in self._pulled}
            exchange.headers = [
                field
                for field in exchange.headers or ()
                if field[0].lower() not in pulled
            ]


def _delete_header(argument: str, kit: Kit) -> Action:
    name = argument.strip().rstrip(":").lower()
    if not name:
        raise ConfigError("delheader needs a header field")

    def act(visit: Visit) -> Outcome:
        exchange = visit.exchange
        exchange.removed_headers = (*exchange.removed_headers, name)
        return Outcome.NEXT

    return act


def _clear_headers(argument: str, kit: Kit) -> Action:
    status = parse_status(argument, "clearheaders") if argument.strip() else None

    def act(visit: Visit) -> Outcome:
        exchange = visit.exchange
        if exchange.head is not None and not exchange.headers_sent:
            new = exchange.status
            if status is not None:
                new = f"{status[0]} {status[1]}".strip()
            exchange.start_response(new, [])
        return Outcome.NEXT

    return act


def _framed_anyway(argument: str, kit: Kit) -> Action:
    # The server frames every body itself; these rules ask for no more.
    return lambda visit: Outcome.NEXT


HEADER_ACTIONS: Mapping[str, ActionFactory] = {
    "addheader": add_header,
    "clearheaders": _clear_headers,
    "delheader": _delete_header,
    "fixcl": _framed_anyway,
    "forcecl": _framed_anyway,
    "remheader": _delete_header,
    "resetheaders": _clear_headers,
}
