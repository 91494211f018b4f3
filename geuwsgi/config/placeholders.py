"""Substitution inside values: ``$(VARIABLE)``, ``@(source)`` and ``%(placeholder)``.

uWSGI passes over all values once for each of the three, in this order. What a lookup
does not know stays as written.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Lookup = Callable[[str], "str | None"]

MAX_REPLACEMENTS = 2000
MAX_DEPTH = 50
MAX_LENGTH = 1 << 18
_LEADING_INTEGER = re.compile(r"[ \t]*([+-]?[0-9]+)")
_PARENTHESIS = re.compile(r"[()]")
_INT64 = 1 << 63


class Endless(Exception):
    """A value that contains itself."""


def substitute(text: str, symbol: str, lookup: Lookup) -> str:
    """``text`` with each ``symbol(key)`` replaced by what ``lookup`` says, if it does.

    A key may hold other keys, which come first, and what is put in is looked through,
    too. Raises Endless if that does not come to an end.
    """
    return _Substitution(symbol, lookup).expand(text, 0)


class _Substitution:
    """One value's way through one pass; counts what it costs."""

    def __init__(self, symbol: str, lookup: Lookup) -> None:
        self._opening = f"{symbol}("
        self._lookup = lookup
        self._replacements = 0
        self._length = 0

    def expand(self, text: str, depth: int) -> str:
        if self._opening not in text:
            return text
        closings = _closings(text)
        pieces = []
        done = 0
        while (found := text.find(self._opening, done)) >= 0:
            end = closings.get(found + 1)
            if end is None:
                pieces.append(text[done : found + 2])
                done = found + 2
                continue
            key = self.expand(text[found + 2 : end], depth)
            pieces.append(text[done:found])
            pieces.append(self._value(key, depth))
            done = end + 1
        pieces.append(text[done:])
        return "".join(pieces)

    def _value(self, key: str, depth: int) -> str:
        written = f"{self._opening}{key})"
        value = self._lookup(key) if key else None
        if value is None:
            return written
        self._replacements += 1
        self._length += len(value)
        if (
            depth >= MAX_DEPTH
            or self._replacements > MAX_REPLACEMENTS
            or self._length > MAX_LENGTH
        ):
            raise Endless(f"{written} leads to itself")
        return self.expand(value, depth + 1)


def _closings(text: str) -> dict[int, int]:
    """For each opening parenthesis the place of the one that closes it."""
    closings = {}
    opened = []
    for match in _PARENTHESIS.finditer(text):
        if match[0] == "(":
            opened.append(match.start())
        elif opened:
            closings[opened.pop()] = match.start()
    return closings


def evaluate(expression: str, lookup: Lookup) -> str | None:
    """The value of a placeholder: a name, or words and operators between blanks.

    Operators act from left to right on 64 bits: ``+ - * /`` on both sides, ``++`` and
    ``--`` on the left one; two words beside each other are glued. Division by zero
    gives 0. Parentheses group, which uWSGI's do not. None if a lone name is unknown,
    or if there are no words.
    """
    if " " not in expression:
        return lookup(expression)
    if "(" in expression:
        expression = _grouped(expression, lookup)
    result: str | None = None
    operator = ""
    for word in expression.split(" "):
        if word == "":
            continue
        if word in ("++", "--"):
            result = str(_wrap(_integer(result or "") + (1 if word == "++" else -1)))
        elif word[0] in "+-*/" and not word[1:].isdigit():
            operator = word[0]
        else:
            known = lookup(word)
            result = _apply(operator, result, word if known is None else known)
            operator = ""
    return result


def _grouped(expression: str, lookup: Lookup) -> str:
    while (start := expression.rfind("(")) >= 0:
        end = expression.find(")", start)
        if end < 0:
            break
        inner = evaluate(f"{expression[start + 1 : end]} ", lookup) or ""
        expression = f"{expression[:start]}{inner}{expression[end + 1 :]}"
    return expression


def _apply(operator: str, left: str | None, right: str) -> str:
    if left is None:
        return right
    if operator == "":
        return left + right
    a, b = _integer(left), _integer(right)
    if operator == "+":
        return str(_wrap(a + b))
    if operator == "-":
        return str(_wrap(a - b))
    if operator == "*":
        return str(_wrap(a * b))
    if b == 0:
        return "0"
    quotient = abs(a) // abs(b)
    return str(_wrap(quotient if (a < 0) == (b < 0) else -quotient))


def _integer(text: str) -> int:
    match = _LEADING_INTEGER.match(text)
    return int(match[1]) if match else 0


def _wrap(number: int) -> int:
    return (number + _INT64) % (2 * _INT64) - _INT64
