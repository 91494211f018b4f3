"""From ``route*`` options to chains.

The options of one chain are one list, in the order of the configuration's lines
whatever their names, so they are read from the assignments and not from the settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError, ConfigErrors
from geuwsgi.server.routing.actions import REQUEST_ACTIONS, Action, ActionFactory
from geuwsgi.server.routing.auth import AUTH_ACTIONS
from geuwsgi.server.routing.calls import CALL_ACTIONS
from geuwsgi.server.routing.chain import (
    Chain,
    Rule,
    always,
    matches,
    negated,
    status_is,
)
from geuwsgi.server.routing.choose import CHOICE_ACTIONS
from geuwsgi.server.routing.conditions import CONDITIONS, Condition
from geuwsgi.server.routing.files import FILE_ACTIONS
from geuwsgi.server.routing.headers import HEADER_ACTIONS
from geuwsgi.server.routing.kit import Kit
from geuwsgi.server.routing.raw import RAW_ACTIONS
from geuwsgi.server.routing.relays import RELAY_ACTIONS
from geuwsgi.server.routing.stores import STORE_ACTIONS
from geuwsgi.server.routing.transforms import TRANSFORM_ACTIONS

if TYPE_CHECKING:
    from geuwsgi.config.model import Assignment

ACTIONS: Mapping[str, ActionFactory] = {
    **REQUEST_ACTIONS,
    **AUTH_ACTIONS,
    **CALL_ACTIONS,
    **CHOICE_ACTIONS,
    **FILE_ACTIONS,
    **HEADER_ACTIONS,
    **RAW_ACTIONS,
    **RELAY_ACTIONS,
    **STORE_ACTIONS,
    **TRANSFORM_ACTIONS,
}

#: Actions of uWSGI's that make no sense here, and why.
_NOT_HERE: Mapping[str, str] = {
    **dict.fromkeys(
        ("symcall", "symcall-next"), "there are no C functions that could be called"
    ),
    **dict.fromkeys(
        ("httpconnect", "proxyhttpconnect"), "this server is no proxy that tunnels"
    ),
    **dict.fromkeys(
        ("radius", "ldapauth", "ldapauth-next", "spnego"),
        "have the application, or the server in front, ask who somebody is",
    ),
    **dict.fromkeys("+-*/", "in uWSGI 2.0.31 it ends the request; use cacheinc"),
    "access": "say it with route-if-not = ipv4in:${REMOTE_ADDR};… return:403",
    "xmldir": "directories are not listed",
}

_OPTION = re.compile(
    r"(?:(error|response|final)-)?route(?:-(host|if|if-not|label|qs|referer|"
    r"remote-addr|remote-user|run|status|uri|user-agent))?"
)
_SUBJECTS = {
    "": "PATH_INFO",
    "host": "HTTP_HOST",
    "qs": "QUERY_STRING",
    "referer": "HTTP_REFERER",
    "remote-addr": "REMOTE_ADDR",
    "remote-user": "REMOTE_USER",
    "uri": "REQUEST_URI",
    "user-agent": "HTTP_USER_AGENT",
}


@dataclass(frozen=True)
class Chains:
    """The rules of a configuration, by the moment they run."""

    request: Chain
    error: Chain
    response: Chain
    final: Chain

    def __bool__(self) -> bool:
        return any((self.request, self.error, self.response, self.final))


def parse_chains(
    assignments: Iterable[Assignment],
    kit: Kit,
    actions: Mapping[str, ActionFactory] = ACTIONS,
) -> Chains:
    """Compile the ``route*`` options among ``assignments``.

    Raises ConfigErrors with everything that is wrong, each at its place.
    """
    rules: dict[str, list[Rule]] = {
        name: [] for name in ("request", "error", "response", "final")
    }
    errors: list[ConfigError] = []
    for name, value, origin in assignments:
        option = _OPTION.fullmatch(name.replace("_", "-"))
        if option is None:
            continue
        try:
            rule = _parse_rule(option[2] or "", value or "", kit, actions, origin)
        except ConfigError as exc:
            errors.append(ConfigError(f"{name}: {exc.message}", origin))
        else:
            rules[option[1] or "request"].append(rule)
    if errors:
        raise ConfigErrors(errors)
    return Chains(**{moment: Chain(found) for moment, found in rules.items()})


def _parse_rule(
    form: str, value: str, kit: Kit, actions: Mapping[str, ActionFactory], origin: str
) -> Rule:
    value = value.strip()
    if form == "label":
        return Rule(always, None, label=value, origin=origin)
    if form == "run":
        return Rule(always, parse_action(value, kit, actions), origin=origin)
    first, _, rest = value.partition(" ")
    if not rest.strip():
        # An action may hold a password: the place is told, the text is not.
        raise ConfigError("a rule needs a condition and an action")
    applies: Condition
    if form in ("if", "if-not"):
        condition = parse_condition(first, kit)
        applies = condition if form == "if" else negated(condition)
    elif form == "status":
        applies = status_is(first, kit.pattern(first))
    else:
        applies = matches(_SUBJECTS[form], kit.pattern(first))
    return Rule(applies, parse_action(rest.strip(), kit, actions), origin=origin)


def parse_condition(text: str, kit: Kit) -> Condition:
    """Parse ``name:argument``."""
    name, colon, argument = text.partition(":")
    factory = CONDITIONS.get(name)
    if factory is None or not colon:
        raise ConfigError(
            f"unknown condition {name!r}; known are {', '.join(sorted(CONDITIONS))}"
        )
    return factory(argument, kit)


def parse_action(text: str, kit: Kit, actions: Mapping[str, ActionFactory]) -> Action:
    """Parse ``name:argument``; the colon may be missing if there is no argument."""
    name, _, argument = text.partition(":")
    factory = actions.get(name)
    if name in _NOT_HERE:
        raise ConfigError(f"the action {name} is not here: {_NOT_HERE[name]}")
    if factory is None:
        raise ConfigError(
            f"unknown action {name!r}; known are {', '.join(sorted(actions))}"
        )
    return factory(argument, kit)
