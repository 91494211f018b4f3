"""The command line as getopt reads it for uWSGI.

``--name=value`` and ``--name value`` for options that need a value; a value that may
be left out only ever as ``--name=value``; ``-p 4``, ``-p4`` and flags in a bunch,
``-MLp 4``; any beginning of a long name that fits only one. Words that are no option
are kept for the end, as is all that follows ``--``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from geuwsgi.errors import ConfigError
from geuwsgi.options import Known, Registry
from geuwsgi.options.kinds import Takes

ORIGIN = "command line"


class CommandLine(NamedTuple):
    options: list[tuple[str, str | None]]
    arguments: list[str]
    errors: list[ConfigError]


def parse_command_line(argv: Sequence[str], registry: Registry) -> CommandLine:
    """Options in order with their values, then the other words. Never raises."""
    result = CommandLine([], [], [])
    words = iter(argv)
    for word in words:
        if word == "--":
            result.arguments.extend(words)
        elif word.startswith("--"):
            _long(word[2:], words, registry, result)
        elif word.startswith("-") and word != "-":
            _short(word[1:], words, registry, result)
        else:
            result.arguments.append(word)
    return result


def _long(
    word: str, words: Iterator[str], registry: Registry, result: CommandLine
) -> None:
    name, equals, value = word.partition("=")
    try:
        name, known = complete(name, registry)
    except ConfigError as exc:
        result.errors.append(exc)
        return
    if equals:
        if known.takes is Takes.NOTHING:
            message = f"option '--{name}' takes no value, but got {value!r}"
            result.errors.append(ConfigError(message, ORIGIN))
            return
        result.options.append((name, value))
    elif known.takes is Takes.VALUE:
        _with_next(name, f"--{name}", words, result)
    else:
        result.options.append((name, None))


def _short(
    letters: str, words: Iterator[str], registry: Registry, result: CommandLine
) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        name = registry.letter(letter)
        known = registry.find(name) if name else None
        if name is None or known is None:
            result.errors.append(ConfigError(f"unknown option '-{letter}'", ORIGIN))
            continue
        if known.takes is Takes.NOTHING:
            result.options.append((name, None))
            continue
        if letters:
            result.options.append((name, letters))
        elif known.takes is Takes.VALUE:
            _with_next(name, f"-{letter}", words, result)
        else:
            result.options.append((name, None))
        return


def _with_next(
    name: str, shown: str, words: Iterator[str], result: CommandLine
) -> None:
    value = next(words, None)
    if value is None:
        result.errors.append(ConfigError(f"option '{shown}' needs a value", ORIGIN))
        return
    result.options.append((name, value))


def complete(name: str, registry: Registry) -> tuple[str, Known]:
    """The full name that ``name`` is, or is the unambiguous beginning of.

    Raises ConfigError if there is none or more than one.
    """
    known = registry.find(name)
    if known is not None:
        return name, known
    candidates = registry.completions(name) if name else []
    found = [(candidate, registry.find(candidate)) for candidate in candidates]
    behind = {known.name: (full, known) for full, known in found if known}
    if len(behind) == 1:
        return next(iter(behind.values()))
    if behind:
        listed = ", ".join(f"--{candidate}" for candidate in candidates[:8])
        more = ", …" if len(candidates) > 8 else ""
        raise ConfigError(
            f"option '--{name}' is ambiguous; it may be {listed}{more}", ORIGIN
        )
    nearest = registry.nearest(name)
    hint = f"; did you mean '--{nearest}'?" if nearest else ""
    raise ConfigError(f"unknown option '--{name}'{hint}", ORIGIN)
