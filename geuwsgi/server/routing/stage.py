"""Where the rules meet the server: before the application, and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geuwsgi.server.routing.chain import Chain
from geuwsgi.server.routing.visit import Outcome, Visit

if TYPE_CHECKING:
    from geuwsgi.server.exchange import Exchange


class Routing:
    """The stage for ``route*`` rules; it also sees to ``final-route*``.

    It comes before the stage of static files, as in uWSGI. Callable: True if a rule
    answered, so that nobody else is asked.
    """

    __slots__ = ("_final", "_request")

    def __init__(self, request: Chain, final: Chain) -> None:
        self._request = request
        self._final = final

    def __call__(self, exchange: Exchange) -> bool:
        """Run the rules of the request."""
        if self._final:
            exchange.at_end(lambda: self._run_final(exchange))
        return self._request.run(Visit(exchange)) is Outcome.BREAK

    def _run_final(self, exchange: Exchange) -> None:
        # The response is over: rules that want to answer are too late.
        exchange.complete = True
        self._final.run(Visit(exchange))


class ErrorRouting:
    """Asked when the server itself is about to answer with an error."""

    __slots__ = ("_chain",)

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def __call__(self, exchange: Exchange, code: int) -> bool:
        """Run the rules; True if one answered.

        The exchange must have a head that says ``code``, for rules on the status,
        and have sent nothing.
        """
        exchange.replaceable = True
        try:
            return self._chain.run(Visit(exchange)) is Outcome.BREAK
        finally:
            exchange.replaceable = False
