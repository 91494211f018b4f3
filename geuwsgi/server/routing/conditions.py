"""Conditions of ``route-if`` and its relatives.

A condition is made from its argument once and asked for each request. Arguments of
two values are separated by the first ``;``, as in ``equal:${PATH_INFO};/x``.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.server.routing.kit import Kit, parse_key_values
from geuwsgi.server.static.paths import file_system_path

if TYPE_CHECKING:
    from geuwsgi.server.routing.template import Template
    from geuwsgi.server.routing.visit import Visit

Condition = Callable[["Visit"], bool]
ConditionFactory = Callable[[str, Kit], Condition]


def _of_one(test: Callable[[str], bool]) -> ConditionFactory:
    def make(argument: str, kit: Kit) -> Condition:
        template = kit.template(argument)
        return lambda visit: test(template.render(visit))

    return make


def _of_path(test: Callable[[str], bool]) -> ConditionFactory:
    def safe(path: str) -> bool:
        # What a client sent may hold a NUL, which no path of the system may.
        return "\0" not in path and test(file_system_path(path))

    return _of_one(safe)


def _pair(argument: str, kit: Kit) -> tuple[Template, Template]:
    left, separator, right = argument.partition(";")
    if not separator:
        raise ConfigError(f"the condition needs two values with ';': {argument!r}")
    return kit.template(left), kit.template(right)


def _of_two(test: Callable[[str, str], bool]) -> ConditionFactory:
    def make(argument: str, kit: Kit) -> Condition:
        left, right = _pair(argument, kit)
        return lambda visit: test(left.render(visit), right.render(visit))

    return make


def _number(text: str) -> int:
    """As C's atol, which uWSGI uses: leading digits, else 0."""
    text = text.strip()
    end = 1 if text[:1] in ("+", "-") else 0
    while end < len(text) and text[end] in "0123456789":
        end += 1
    try:
        return int(text[:end])
    except ValueError:
        return 0


def _of_numbers(test: Callable[[int, int], bool]) -> ConditionFactory:
    return _of_two(lambda left, right: test(_number(left), _number(right)))


def _regexp(argument: str, kit: Kit) -> Condition:
    subject, separator, pattern = argument.partition(";")
    if not separator:
        raise ConfigError(f"regexp needs a value and a pattern: {argument!r}")
    template = kit.template(subject)
    search = kit.pattern(pattern).search

    def test(visit: Visit) -> bool:
        match = search(template.render(visit))
        if match is None:
            return False
        visit.match = match
        return True

    return test


def _in_network(version: int) -> ConditionFactory:
    def test(address: str, network: str) -> bool:
        try:
            inner = ipaddress.ip_address(address)
            outer = ipaddress.ip_network(network, strict=False)
        except ValueError:
            return False
        return inner.version == outer.version == version and inner in outer

    def make(argument: str, kit: Kit) -> Condition:
        _, right = _pair(argument, kit)
        if right.literal is not None:
            try:
                ipaddress.ip_network(right.literal, strict=False)
            except ValueError as exc:
                raise ConfigError(f"malformed network: {exc}") from None
        return _of_two(test)(argument, kit)

    return make


def _in_cache(argument: str, kit: Kit) -> Condition:
    values = parse_key_values(
        argument, kit, action="incache", known=("key", "name"), needed=("key",)
    )

    def test(visit: Visit) -> bool:
        name = values["name"].render(visit) if "name" in values else ""
        cache = kit.cache(name)
        key = values["key"].render(visit).encode("latin-1", "replace")
        return cache is not None and cache.get(key) is not None

    return test


def _lord(argument: str, kit: Kit) -> Condition:
    template = kit.template(argument)
    return lambda visit: kit.is_lord(template.render(visit))


CONDITIONS: Mapping[str, ConditionFactory] = {
    "<": _of_numbers(lambda left, right: left < right),
    "<=": _of_numbers(lambda left, right: left <= right),
    "=": _of_two(lambda left, right: left == right),
    "==": _of_two(lambda left, right: left == right),
    ">": _of_numbers(lambda left, right: left > right),
    ">=": _of_numbers(lambda left, right: left >= right),
    "contain": _of_two(lambda left, right: right in left),
    "contains": _of_two(lambda left, right: right in left),
    "empty": _of_one(lambda value: not value),
    "endswith": _of_two(lambda left, right: left.endswith(right)),
    "eq": _of_two(lambda left, right: left == right),
    "equal": _of_two(lambda left, right: left == right),
    "exists": _of_path(os.path.exists),
    "incache": _in_cache,
    "ipv4in": _in_network(4),
    "ipv6in": _in_network(6),
    "isdir": _of_path(os.path.isdir),
    "isequal": _of_two(lambda left, right: left == right),
    "isexec": _of_path(lambda path: os.access(path, os.X_OK)),
    "isfile": _of_path(os.path.isfile),
    "ishigher": _of_numbers(lambda left, right: left > right),
    "ishigherequal": _of_numbers(lambda left, right: left >= right),
    "islink": _of_path(os.path.islink),
    "islower": _of_numbers(lambda left, right: left < right),
    "islowerequal": _of_numbers(lambda left, right: left <= right),
    "lord": _lord,
    "re": _regexp,
    "regexp": _regexp,
    "startswith": _of_two(lambda left, right: left.startswith(right)),
}
"""Every condition by its name."""
