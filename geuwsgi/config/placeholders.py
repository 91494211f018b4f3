"""Substitution inside values: ``$(VARIABLE)``, ``@(source)`` and ``%(placeholder)``.

uWSGI passes over all values once for each of the three, in this order. What a lookup
does not know stays as written.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Lookup = Callable[[str], "str | None"]

MAX_REPLACEMENTS = 500
MAX_LENGTH = 1 << 20
_LEADING_INTEGER = re.compile(r"[ \t]*([+-]?[0-9]+)")
_INT64 = 1 << 63


class Endless(Exception):
    """A value that contains itself."""


def substitute(text: str, symbol: str, lookup: Lookup) -> str:
    """``text`` with each ``symbol(key)`` replaced by what ``lookup`` says, if it does.

    What is put in is looked through again, so a placeholder may hold another. Raises
    Endless if that does not come to an end.
    """
    opening = f"{symbol}("
    start = 0
    replacements = 0
    while (found := text.find(opening, start)) >= 0:
        end = _closing(text, found + 2)
        inner = text.find(opening, found + 2)
        if end < 0 or 0 <= inner < end:
            start = found + 2
            continue
        key = text[found + 2 : end]
        value = lookup(key) if key else None
        if value is None:
            start = found + 2
            continue
        text = f"{text[:found]}{value}{text[end + 1 :]}"
        start = 0
        replacements += 1
        if replacements > MAX_REPLACEMENTS or len(text) > MAX_LENGTH:
            raise Endless(f"{opening}{key}) leads to itself")
    return text


def _closing(text: str, start: int) -> int:
    depth = 1
    for index in range(start, len(text)):
        if text[index] == "(":
            depth += 1
        elif text[index] == ")":
            depth -= 1
            if depth == 0:
                return index
    return -1


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
