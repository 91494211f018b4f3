"""Actions that send bytes as they are: ``disableheaders``, ``send``, ``send-crnl``.

Whoever uses them writes the whole response, head included, and the connection ends
with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geuwsgi.server.routing.kit import Kit
from geuwsgi.server.routing.visit import Outcome

if TYPE_CHECKING:
    from geuwsgi.server.routing.actions import Action, ActionFactory
    from geuwsgi.server.routing.visit import Visit


def _sending(end: bytes) -> ActionFactory:
    def make(argument: str, kit: Kit) -> Action:
        template = kit.template(argument)

        def act(visit: Visit) -> Outcome:
            octets = template.render(visit).encode("latin-1", "replace")
            visit.exchange.write_raw(octets + end)
            return Outcome.NEXT

        return act

    return make


def _disable_headers(argument: str, kit: Kit) -> Action:
    def act(visit: Visit) -> Outcome:
        visit.exchange.write_raw(b"")
        return Outcome.NEXT

    return act


RAW_ACTIONS: Mapping[str, ActionFactory] = {
    "disableheaders": _disable_headers,
    "send": _sending(b""),
    "send-crnl": _sending(b"\r\n"),
}
