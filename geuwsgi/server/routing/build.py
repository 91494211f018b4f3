"""From a configuration to the parts of the server that route."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geuwsgi.server.routing.headers import HeaderFilter
from geuwsgi.server.routing.kit import Kit
from geuwsgi.server.routing.parse import parse_chains
from geuwsgi.server.routing.stage import ErrorRouting, Routing
from geuwsgi.server.static.errorpages import ErrorPages

if TYPE_CHECKING:
    from geuwsgi.config.model import Assignment
    from geuwsgi.options import Headers
    from geuwsgi.options import Routing as RoutingOptions
    from geuwsgi.server.exchange import Exchange

ErrorAnswer = Callable[["Exchange", int], bool]


@dataclass(frozen=True)
class RoutingParts:
    """What to put into a site; all of it is empty for most configurations.

    ``stages`` go before static files, ``response_filters`` before other filters,
    ``error_answers`` are asked in order for errors the server itself makes.
    """

    stages: tuple[Routing, ...]
    response_filters: tuple[HeaderFilter, ...]
    error_answers: tuple[ErrorAnswer, ...]


def build_routing(
    assignments: Iterable[Assignment],
    headers: Headers,
    routing: RoutingOptions,
    kit: Kit,
) -> RoutingParts:
    """Compile everything. Raises ConfigError or ConfigErrors."""
    chains = parse_chains(assignments, kit)
    stages: tuple[Routing, ...] = ()
    if chains.request or chains.final:
        stages = (Routing(chains.request, chains.final),)
    header_filter = HeaderFilter(headers, chains.response)
    error_answers: tuple[ErrorAnswer, ...] = ()
    if chains.error:
        error_answers += (ErrorRouting(chains.error),)
    pages = ErrorPages(routing)
    if pages:
        error_answers += (pages,)
    # A rule of the request may remove a field without any option or response rule.
    needs_filter = bool(header_filter) or bool(chains.request)
    return RoutingParts(stages, (header_filter,) if needs_filter else (), error_answers)
