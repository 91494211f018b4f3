"""The json and toml formats: an object with a member for each section.

A text stays as it is, a number is written in decimals, true is ``1``, false and null
are ``0``, a list repeats its option.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterable

from geuwsgi.config.parsed import Line, Parsed


class _Pairs(list[tuple[str, object]]):
    """The members of a JSON object, in order and with repeated names."""


def parse_json(text: str, section: str) -> Parsed:
    """The options of member ``section`` of a JSON object."""
    try:
        root = json.loads(text, object_pairs_hook=_Pairs)
    except json.JSONDecodeError as exc:
        return _broken(exc.lineno, f"malformed JSON: {exc.msg}")
    except (ValueError, RecursionError) as exc:
        return _broken(1, f"malformed JSON: {exc}")
    if not isinstance(root, _Pairs):
        return _broken(1, "the file is not a JSON object")
    return _collect(root, section, text)


def parse_toml(text: str, section: str) -> Parsed:
    """The options of table ``section`` of a TOML text.

    Python 3.10 has no TOML reader; there the package tomli is needed.
    """
    loads = _toml_reader()
    if loads is None:
        return _broken(1, "Python 3.10 cannot read TOML; install tomli")
    try:
        root = loads(text)
    except ValueError as exc:
        found = re.search(r"line (\d+)", str(exc))
        return _broken(int(found[1]) if found else 1, f"malformed TOML: {exc}")
    except RecursionError:
        return _broken(1, "malformed TOML: nested too deeply")
    pairs = [
        (name, _Pairs(value.items()) if isinstance(value, dict) else value)
        for name, value in root.items()
    ]
    return _collect(pairs, section, text)


def _toml_reader() -> Callable[[str], dict[str, object]] | None:
    """``loads`` of the standard library, or of tomli where that has none."""
    for name in ("tomllib", "tomli"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        loads: Callable[[str], dict[str, object]] = module.loads
        return loads
    return None


def _broken(line: int, sentence: str) -> Parsed:
    return Parsed([], True, [], [], [(line, sentence)])


def _collect(root: Iterable[tuple[str, object]], section: str, text: str) -> Parsed:
    parsed = Parsed([], False, [], [], [])
    found = False
    numbers = _Numbers(text)
    for name, value in root:
        parsed.sections.append(name)
        if name != section:
            continue
        found = True
        if not isinstance(value, _Pairs):
            parsed.errors.append((numbers.of(name), f"{name} is not an object"))
            continue
        for key, item in value:
            _add(key, item, numbers.of(key), parsed)
    return parsed._replace(has_section=found)


def _add(name: str, value: object, number: int, parsed: Parsed) -> None:
    values = value if isinstance(value, list) else [value]
    if isinstance(value, _Pairs | dict):
        values = [value]
    for item in values:
        written = _written(item)
        if written is None:
            sentence = f"{name}: a value is a text, a number or a list of them"
            parsed.errors.append((number, sentence))
        else:
            parsed.lines.append(Line(name, written, number))


def _written(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if value is None or value is False:
        return "0"
    if value is True:
        return "1"
    if isinstance(value, int | float):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    return None


class _Numbers:
    """Line numbers of names, by looking for them one after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def of(self, name: str) -> int:
        """The line of the next place where a member of that name stands."""
        pattern = re.compile(rf"(?:^|[\"'\s,{{]){re.escape(name)}[\"']?\s*[:=]", re.M)
        match = pattern.search(self._text, self._position)
        if match is not None:
            self._position = match.end()
            return self._text.count("\n", 0, self._position - 1) + 1
        return self._text.count("\n", 0, self._position) + 1
