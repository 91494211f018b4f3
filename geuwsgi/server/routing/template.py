"""Arguments of rules: text with ``${variables}`` and ``$1`` groups.

Rendered text is bytes in latin-1's clothes, like the variables of a request: what the
configuration says in UTF-8 is dressed the same way.

A template is parsed once; rendering joins its parts. What is no variable stays as it
stands: a single ``$``, ``$x``, an unclosed ``${``. Variables that do not exist and
groups that did not match are empty.
"""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from geuwsgi.protocol.dates import format_http_date

if TYPE_CHECKING:
    from geuwsgi.server.routing.visit import Visit

Part = Callable[["Visit"], str]
Function = Callable[["Visit", str], str]

_PIECE = re.compile(r"\$\{([^}]*)\}|\$(\d)")
_CALL = re.compile(r"([A-Za-z0-9_]+)\[(.*)\]", re.DOTALL)


class Template:
    """Text that is completed for each request."""

    __slots__ = ("_parts", "literal", "text")

    def __init__(
        self, text: str, functions: Mapping[str, Function], *, dressed: bool = False
    ) -> None:
        """``dressed``: the text is in latin-1's clothes already."""
        if not dressed:
            text = text.encode("utf-8", "surrogateescape").decode("latin-1")
        self.text = text
        self._parts: list[str | Part] = []
        position = 0
        for piece in _PIECE.finditer(text):
            if piece.start() > position:
                self._parts.append(text[position : piece.start()])
            self._parts.append(_part(piece, functions))
            position = piece.end()
        if position < len(text) or not self._parts:
            self._parts.append(text[position:])
        #: The text itself if there is nothing to complete, else None.
        self.literal: str | None = (
            text if all(isinstance(part, str) for part in self._parts) else None
        )

    @property
    def fixed_beginning(self) -> str:
        """What every rendering begins with."""
        first = self._parts[0]
        return first if isinstance(first, str) else ""

    def render(self, visit: Visit) -> str:
        """The text for one request."""
        if self.literal is not None:
            return self.literal
        return "".join(
            part if isinstance(part, str) else part(visit) for part in self._parts
        )


def _part(piece: re.Match[str], functions: Mapping[str, Function]) -> Part:
    name, group = piece.groups()
    if group is not None:
        return _group(int(group))
    call = _CALL.fullmatch(name)
    if call is None:
        return lambda visit: visit.variable(name)
    function = functions.get(call[1], _nothing)
    argument = call[2]
    return lambda visit: function(visit, argument)


def _group(number: int) -> Part:
    def render(visit: Visit) -> str:
        match = visit.match
        if match is None or number > match.re.groups:
            return ""
        return match[number] or ""

    return render


def _nothing(visit: Visit, argument: str) -> str:
    return ""


def cookie(visit: Visit, name: str) -> str:
    """``${cookie[name]}``: the value of a cookie."""
    try:
        morsel = SimpleCookie(visit.variable("HTTP_COOKIE")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def query(visit: Visit, name: str) -> str:
    """``${qs[name]}``: a parameter of the query string, as it was sent."""
    for pair in visit.variable("QUERY_STRING").split("&"):
        key, _, value = pair.partition("=")
        if key == name:
            return value
    return ""


def http_time(visit: Visit, seconds: str) -> str:
    """``${httptime[n]}``: the date in ``n`` seconds, as HTTP writes it."""
    try:
        return format_http_date(time.time() + int(seconds or 0))
    except (ValueError, OverflowError):
        return ""


def clock(visit: Visit, unit: str) -> str:
    """``${time[unix]}`` and ``${time[micros]}``."""
    if unit == "unix":
        return str(int(time.time()))
    if unit == "micros":
        return str(time.time_ns() // 1000)
    return ""


def base64_of(visit: Visit, name: str) -> str:
    """``${base64[VAR]}``: a variable in base64."""
    return base64.b64encode(visit.variable(name).encode("latin-1")).decode()


def hex_of(visit: Visit, name: str) -> str:
    """``${hex[VAR]}``: a variable in upper-case hexadecimal digits."""
    return visit.variable(name).encode("latin-1").hex().upper()


def new_uuid(visit: Visit) -> str:
    """``${uwsgi[uuid]}``: a random identifier."""
    return str(uuid.uuid4())


FUNCTIONS: Mapping[str, Function] = {
    "base64": base64_of,
    "cookie": cookie,
    "hex": hex_of,
    "httptime": http_time,
    "qs": query,
    "time": clock,
}
"""The functions that need nothing of the worker."""
