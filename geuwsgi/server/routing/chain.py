"""Rules in order, compiled once and run for each exchange."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.server.pattern import Pattern
from geuwsgi.server.routing.visit import Outcome, Visit

if TYPE_CHECKING:
    from geuwsgi.server.routing.actions import Action
    from geuwsgi.server.routing.conditions import Condition

# A chain may jump back, and nothing but this ends one that always does.
MAX_STEPS = 10_000


class Rule:
    """One line: when it applies, and what it does. A label does nothing."""

    __slots__ = ("action", "applies", "label", "origin")

    def __init__(
        self,
        applies: Condition,
        action: Action | None,
        *,
        label: str = "",
        origin: str = "",
    ) -> None:
        self.applies = applies
        self.action = action
        self.label = label
        self.origin = origin


class Chain:
    """The rules of one moment of a request's life."""

    __slots__ = ("_labels", "_rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: Sequence[Rule] = tuple(rules)
        self._labels = {
            rule.label: place for place, rule in enumerate(self._rules) if rule.label
        }

    def __bool__(self) -> bool:
        return bool(self._rules)

    def run(self, visit: Visit) -> Outcome:
        """Run the rules until one ends the chain; NEXT if none did.

        Raises what an action raises. A chain that jumps in circles ends with an
        error after ``MAX_STEPS`` rules.
        """
        rules = self._rules
        place = 0
        steps = 0
        while place < len(rules):
            steps += 1
            if steps > MAX_STEPS:
                raise ConfigError(
                    f"routing rules jump in circles at label {rules[place].label!r}",
                    rules[place].origin,
                )
            rule = rules[place]
            place += 1
            if rule.action is None:
                continue
            visit.match = None
            if not rule.applies(visit):
                continue
            outcome = rule.action(visit)
            if outcome is not Outcome.NEXT:
                return outcome
            if visit.label is not None:
                label, visit.label = visit.label, None
                # A label that does not exist ends the chain, as in uWSGI.
                place = self._labels.get(label, len(rules))
        return Outcome.NEXT


def always(visit: Visit) -> bool:
    """The condition of ``route-run``."""
    return True


def matches(variable: str, pattern: Pattern) -> Condition:
    """The condition of ``route``: a pattern found in a variable."""
    search = pattern.search

    def test(visit: Visit) -> bool:
        visit.match = match = search(visit.variable(variable))
        return match is not None

    return test


def status_is(text: str, pattern: Pattern) -> Condition:
    """The condition of ``*-route-status``: the number itself, or a pattern."""
    if text.isdigit():
        return lambda visit: str(visit.exchange.code) == text

    def test(visit: Visit) -> bool:
        visit.match = match = pattern.search(str(visit.exchange.code))
        return match is not None

    return test


def negated(condition: Condition) -> Condition:
    """The condition of ``route-if-not``."""
    return lambda visit: not condition(visit)
