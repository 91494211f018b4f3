"""What rules may use of the worker they run in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from geuwsgi.errors import ConfigError
from geuwsgi.server.pattern import Pattern, compile_pattern
from geuwsgi.server.routing.template import FUNCTIONS, Function, Template, new_uuid

if TYPE_CHECKING:
    from geuwsgi.offload.upstream import Connector
    from geuwsgi.server.routing.visit import Visit
    from geuwsgi.server.static.build import FileService
    from geuwsgi.shared.arithmetic import Arithmetic


class CacheStore(Protocol):
    """A cache as routing uses it."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""

    def update(self, key: bytes, value: bytes, seconds: int = 0) -> bool:
        """Create or replace, for so many seconds; 0 is for ever."""

    def change(
        self, key: bytes, arithmetic: Arithmetic, amount: int, seconds: int = 0, /
    ) -> bool:
        """Change a number atomically."""


def _no_cache(name: str) -> CacheStore | None:
    return None


def _nothing_measured(name: str) -> str:
    return ""


@dataclass(frozen=True)
class Kit:
    """The worker's side of the rules; what is left out makes its rules errors.

    ``report`` writes a line to the log. ``cache`` finds a cache by name, the default
    one by the empty name. ``signal`` raises a uwsgi signal, ``alarm`` an alarm.
    """

    files: FileService
    report: Callable[[str], None]
    worker_id: int = 1
    connector: Connector | None = None
    cache: Callable[[str], CacheStore | None] = _no_cache
    signal: Callable[[int], object] | None = None
    alarm: Callable[[str, str], None] | None = None
    metric: Callable[[str], str] = _nothing_measured
    #: Changes a metric: its name, how, and by how much; None sets it.
    change_metric: Callable[[str, Arithmetic | None, int], object] | None = None
    #: Calls a remote function, ``name`` or ``name@server``; None if there is none.
    rpc: Callable[[str, list[bytes]], bytes | None] | None = None
    #: Shows a title for this process.
    set_title: Callable[[str], object] | None = None
    #: How many connections wait to be accepted.
    backlog: Callable[[], int] = lambda: 0
    is_lord: Callable[[str], bool] = lambda legion: False
    #: Further functions of templates: ``${name[argument]}``.
    functions: Mapping[str, Function] = field(default_factory=dict)

    def template(self, text: str) -> Template:
        """Parse an argument that may hold variables."""
        return Template(text, self._all_functions())

    def template_of_body(self, text: str) -> Template:
        """Parse a body, in latin-1's clothes, that may hold variables."""
        return Template(text, self._all_functions(), dressed=True)

    def _all_functions(self) -> dict[str, Function]:
        return {
            **FUNCTIONS,
            "mime": self._mime,
            "metric": lambda visit, name: self.metric(name),
            "uwsgi": self._uwsgi,
            **self.functions,
        }

    def pattern(self, text: str) -> Pattern:
        """Compile a regular expression of a rule."""
        return compile_pattern(text)

    def _mime(self, visit: Visit, name: str) -> str:
        return self.files.mime.type_of(visit.variable(name)) or ""

    def _uwsgi(self, visit: Visit, name: str) -> str:
        exchange = visit.exchange
        if name == "wid":
            return str(self.worker_id)
        if name == "pid":
            return str(os.getpid())
        if name == "uuid":
            return new_uuid(visit)
        if name == "lq":
            return str(self.backlog())
        if name == "status":
            return str(exchange.code)
        if name == "rtime":
            return str(int(exchange.duration * 1_000_000))
        if name == "rsize":
            return str(exchange.body_bytes)
        if name == "sor":
            return str(int(exchange.started * 1_000_000))
        return ""


def parse_key_values(
    text: str,
    kit: Kit,
    *,
    action: str,
    known: Iterable[str],
    needed: Iterable[str] = (),
) -> dict[str, Template]:
    """Parse ``key=value,key=value``; a backslash keeps a comma in a value.

    Raises ConfigError for keys that ``action`` does not know or misses.
    """
    values: dict[str, Template] = {}
    allowed = frozenset(known)
    for item in split_escaped(text, ","):
        if not item:
            continue
        key, _, value = item.partition("=")
        key = key.strip()
        if key not in allowed:
            raise ConfigError(
                f"{action} does not know {key!r}; known are "
                f"{', '.join(sorted(allowed))}"
            )
        values[key] = kit.template(value)
    for key in needed:
        if key not in values:
            raise ConfigError(f"{action} needs {key}=")
    return values


def split_escaped(text: str, separator: str) -> list[str]:
    """Split at a character that no backslash stands before."""
    items = [""]
    escaped = False
    for character in text:
        if escaped:
            if character != separator:
                items[-1] += "\\"
            items[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == separator:
            items.append("")
        else:
            items[-1] += character
    if escaped:
        items[-1] += "\\"
    return items
