"""Kinds of option values: how a text from a configuration becomes a Python value.

A kind reads one text and returns a ``Reading``: the value, and a note if the text
was taken for something other than what uWSGI's own reader would have made of it
(uWSGI reads numbers with ``atoi``, so ``true`` is 0 there and ``64k`` is 64). A text
that has no sensible meaning raises ``ValueError`` with a sentence.

Kinds hold no state and know nothing of files, sections or other options.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

_TRUE_WORDS = frozenset({"true", "yes", "on"})
_FALSE_WORDS = frozenset({"false", "no", "off"})
_NUMBER = re.compile(r"[ \t]*([+-]?[0-9]+)(.*)", re.DOTALL)
_DURATION = re.compile(r"[ \t]*([+-]?[0-9]+(?:\.[0-9]+)?)(.*)", re.DOTALL)
_COMMENT = re.compile(r"[ \t]+[#;]|^[#;]")
_BYTE_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_TIME_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_OCTAL = re.compile(r"0?[0-7]{3}|0?o[0-7]{3}")


class Takes(Enum):
    """Whether an option is followed by a value on the command line."""

    NOTHING = "nothing"
    MAYBE = "maybe"
    """Only as ``--name=value``: getopt leaves a separate word alone."""
    VALUE = "value"


@dataclass(frozen=True)
class Reading(Generic[T]):
    # No NamedTuple: Python 3.10 lets none be generic.
    value: T
    note: str = ""


class Bounds(NamedTuple):
    """What an option's declaration says about its numbers."""

    at_least: float | None = None
    at_most: float | None = None
    when_true: float | None = None
    """What a bare option, or one set to ``true``, stands for."""
    default: float = 0


class Kind(Generic[T]):
    """How texts of one kind are read. ``many`` kinds accumulate over assignments."""

    name: str
    takes: Takes
    many = False
    default: T
    schema: dict[str, object]

    def read(self, text: str | None, bounds: Bounds) -> Reading[T]:
        """The value of ``text``; None is an option that stood alone.

        Raises ValueError, with a sentence, if the text means nothing.
        """
        raise NotImplementedError


def without_comment(text: str) -> tuple[str, bool]:
    """``text`` up to an inline comment, and whether there was one."""
    match = _COMMENT.search(text)
    if match is None:
        return text.strip(), False
    return text[: match.start()].strip(), True


class Flag(Kind[bool]):
    name = "flag"
    takes = Takes.NOTHING
    default = False
    schema = {"type": ["boolean", "string", "integer"]}  # noqa: RUF012

    def read(self, text: str | None, bounds: Bounds) -> Reading[bool]:
        if text is None or text == "":
            return Reading(True)
        word, commented = without_comment(text)
        word = word.lower()
        if word in _FALSE_WORDS or word == "0":
            note = f"{text!r} reads as false, comment left out" if commented else ""
            return Reading(False, note)
        if word in _TRUE_WORDS or word == "1":
            return Reading(True)
        return Reading(True, f"{text!r} is neither true nor false; it reads as true")


class Number(Kind[T]):
    """The common part of the kinds that begin with a number."""

    takes = Takes.VALUE
    _pattern = _NUMBER
    _units: dict[str, float] = {}  # noqa: RUF012
    _unit: float = 1

    def read(self, text: str | None, bounds: Bounds) -> Reading[T]:
        word = (text or "").strip().lower()
        if word == "" or word in _TRUE_WORDS:
            fallback = bounds.default if bounds.when_true is None else bounds.when_true
            value = self._finish(fallback)
            shown = f"{text!r} is not a number" if word else "no number is given"
            silent = text is None and bounds.when_true is not None
            return Reading(value, "" if silent else f"{shown}; {value:g} is used")
        if word in _FALSE_WORDS:
            return Reading(self._finish(0), f"{text!r} reads as 0")
        assert text is not None
        match = self._pattern.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a number")
        amount, note = self._amount(float(match[1]), match[2], text)
        if bounds.at_least is not None and amount < bounds.at_least:
            raise ValueError(f"{text!r} is below {bounds.at_least:g}")
        if bounds.at_most is not None and amount > bounds.at_most:
            raise ValueError(f"{text!r} is above {bounds.at_most:g}")
        return Reading(self._finish(amount), note)

    def _amount(self, number: float, rest: str, text: str) -> tuple[float, str]:
        word, commented = without_comment(rest)
        if word == "":
            note = f"{text!r} reads as {number:g}, comment left out"
            return number * self._unit, note if commented else ""
        unit = self._units.get(word.lower().removesuffix("b") or "?")
        if unit is None:
            note = f"{text!r} reads as {number:g}; what follows the number is ignored"
            return number * self._unit, note
        return number * unit, f"{text!r} reads with its unit, uWSGI ignores units"

    def _finish(self, amount: float) -> T:
        raise NotImplementedError


class Integer(Number[int]):
    name = "int"
    default = 0
    schema = {"type": ["integer", "boolean", "string"]}  # noqa: RUF012

    def _finish(self, amount: float) -> int:
        return int(amount)


class Seconds(Number[float]):
    name = "seconds"
    default = 0.0
    schema = {"type": ["number", "boolean", "string"]}  # noqa: RUF012
    _pattern = _DURATION
    _units = _TIME_UNITS

    def _finish(self, amount: float) -> float:
        return float(amount)


class Size(Number[int]):
    """Bytes. ``unit`` is what a bare number counts in; defaults are in bytes."""

    default = 0
    schema = {"type": ["integer", "boolean", "string"]}  # noqa: RUF012
    _units = {name: float(unit) for name, unit in _BYTE_UNITS.items()}  # noqa: RUF012

    def __init__(self, name: str, unit: int) -> None:
        self.name = name
        self._unit = unit

    def _finish(self, amount: float) -> int:
        return int(amount)


class Text(Kind["str | None"]):
    name = "text"
    takes = Takes.VALUE
    default = None
    schema = {"type": ["string", "number", "boolean"]}  # noqa: RUF012

    def read(self, text: str | None, bounds: Bounds) -> Reading[str | None]:
        return Reading(text or "")


class Texts(Kind["tuple[str, ...]"]):
    """One more text for each assignment, in order."""

    name = "list"
    takes = Takes.VALUE
    many = True
    default = ()
    schema = {  # noqa: RUF012
        "type": ["string", "number", "boolean", "array"],
        "items": {"type": ["string", "number", "boolean"]},
    }

    def read(self, text: str | None, bounds: Bounds) -> Reading[tuple[str, ...]]:
        return Reading((text or "",))


class Mode(Kind["int | None"]):
    """Permission bits, in octal digits. Standing alone it means rw for everybody."""

    name = "mode"
    takes = Takes.MAYBE
    default = None
    schema = {"type": ["integer", "string", "boolean"]}  # noqa: RUF012

    def read(self, text: str | None, bounds: Bounds) -> Reading[int | None]:
        if text is None or text == "1":
            return Reading(0o666)
        word, commented = without_comment(text)
        if word == "" or word.lower() in _TRUE_WORDS:
            return Reading(0o666, f"{text!r} reads as 666; uWSGI refuses it")
        if _OCTAL.fullmatch(word) is None:
            raise ValueError(f"{text!r} is not a mode of three octal digits, as in 660")
        note = f"{text!r} reads as {word}, comment left out" if commented else ""
        return Reading(int(word.replace("o", ""), 8), note)


FLAG = Flag()
INT = Integer()
SECONDS = Seconds()
BYTES = Size("bytes", 1)
KIB = Size("KiB", 1 << 10)
MIB = Size("MiB", 1 << 20)
TEXT = Text()
TEXTS = Texts()
MODE = Mode()
