"""The four changes that the cache's and the metrics' numbers know.

Numbers are signed 64-bit ones and wrap, as in C.
"""

from __future__ import annotations

import enum


class Arithmetic(enum.Enum):
    """One of the changes. The value is its name in remote requests."""

    INC = "inc"
    DEC = "dec"
    MUL = "mul"
    DIV = "div"

    def apply(self, number: int, amount: int) -> int:
        """Return the changed number. Division truncates, and by zero makes zero."""
        if self is Arithmetic.INC:
            return wrap(number + amount)
        if self is Arithmetic.DEC:
            return wrap(number - amount)
        if self is Arithmetic.MUL:
            return wrap(number * amount)
        if not amount:
            return 0
        quotient = abs(number) // abs(amount)
        return wrap(quotient if (number < 0) == (amount < 0) else -quotient)


def wrap(number: int) -> int:
    """Return the signed 64-bit number with the same low bits."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)
