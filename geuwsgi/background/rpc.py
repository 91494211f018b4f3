"""Functions that an application offers to other processes and servers."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

LONGEST_NAME = 255
MOST_ARGUMENTS = 255

Function = Callable[..., Any]


class RpcTable:
    """The functions of one process by name; those it had at its fork are inherited."""

    def __init__(self) -> None:
        self._functions: dict[bytes, Function] = {}

    def register(self, name: bytes, function: Function) -> None:
        """Add or replace a function. Raises ValueError for an impossible name."""
        if len(name) > LONGEST_NAME:
            raise ValueError(f"a function's name has at most {LONGEST_NAME} bytes")
        self._functions[name] = function

    def names(self) -> tuple[bytes, ...]:
        return tuple(self._functions)

    def call(self, name: bytes, arguments: list[bytes]) -> bytes | None:
        """Call a function; None if there is none, or more than 255 arguments.

        A result that is no bytes and an exception make ``b""``; the latter is logged.
        """
        function = self._functions.get(name)
        if function is None or len(arguments) > MOST_ARGUMENTS:
            return None
        try:
            result = function(*arguments)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            return b""
        return result if isinstance(result, bytes) else b""
