"""One run of a chain of rules over one exchange, and what a rule makes of it."""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geuwsgi.server.exchange import Exchange


class Outcome(enum.Enum):
    """What happens after an action."""

    NEXT = "next"
    """The next rule is looked at."""
    LAST = "last"
    """The chain ends; the request goes on to the application."""
    BREAK = "break"
    """The chain ends; the request has been answered, or is not to be."""


class Visit:
    """What actions, conditions and templates may look at and change.

    ``match`` is that of the rule's regular expression, None for rules without one.
    ``label`` is where the chain continues if the action was a ``goto``.
    """

    __slots__ = ("environ", "exchange", "label", "match")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.environ: dict[str, Any] = exchange.environ
        self.match: re.Match[str] | None = None
        self.label: str | None = None

    def variable(self, name: str) -> str:
        """The text of a request variable, empty if there is none."""
        value = self.environ.get(name)
        return value if type(value) is str else ""
