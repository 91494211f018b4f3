"""Command lines that ask geuwsgi about itself instead of starting it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from geuwsgi.config.configuration import Configuration
from geuwsgi.config.getopt import parse_command_line
from geuwsgi.config.host import Host, SourceError
from geuwsgi.config.sources import decode, read_source
from geuwsgi.options import REGISTRY, Registry


class Answer(NamedTuple):
    """A text to print, and the status to end with."""

    text: str
    status: int = 0


def answer(argv: Sequence[str], registry: Registry = REGISTRY) -> Answer | None:
    """What to print if ``argv`` asks for help, version and the like; None if not.

    Looks at the command line alone and reads no file. Ask it before ``load``.
    """
    if not any(word.startswith("-") for word in argv):
        return None
    for name, value in parse_command_line(argv, registry).options:
        option = registry.option(name)
        ask = _QUESTIONS.get(option.name) if option is not None else None
        if ask is not None:
            return ask(value or "", registry)
    return None


def answer_from(configuration: Configuration, host: Host) -> Answer | None:
    """What to print if the configuration as read asks for it: ``get``, ``extract``."""
    commands = configuration.commands
    if commands.extract is not None:
        try:
            return Answer(decode(read_source(commands.extract, host)))
        except SourceError as exc:
            return Answer(f"{exc}\n", 1)
    if not commands.get:
        return None
    lines = []
    for wanted in commands.get:
        first = next((a for a in configuration.assignments if a.name == wanted), None)
        if first is not None:
            lines.append(f"{'true' if first.value is None else first.value}\n")
    return Answer("".join(lines))


def _help(value: str, registry: Registry) -> Answer:
    from geuwsgi.config.reference import format_help

    try:
        return Answer(format_help(registry, value))
    except KeyError:
        return Answer(f"there is no section {value!r}\n", 1)


def _help_option(value: str, registry: Registry) -> Answer:
    from geuwsgi.config.reference import describe

    name = value.lstrip("-")
    if len(name) == 1:
        name = registry.letter(name) or name
    text = describe(name, registry)
    if text is not None:
        return Answer(text)
    nearest = registry.nearest(name)
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    return Answer(f"unknown option {name!r}{hint}\n", 1)


def _version(value: str, registry: Registry) -> Answer:
    from geuwsgi.config.build import describe_build

    return Answer(describe_build())


def _python_version(value: str, registry: Registry) -> Answer:
    import sys

    return Answer(f"{sys.version.partition(' ')[0]}\n")


def _dump_options(value: str, registry: Registry) -> Answer:
    return Answer("".join(f"{name}\n" for name in sorted(registry.names())))


def _completion(value: str, registry: Registry) -> Answer:
    from geuwsgi.config.reference import format_completion

    try:
        return Answer(format_completion(value, registry))
    except KeyError:
        return Answer(f"no completion for {value!r}: bash, zsh or fish\n", 1)


def _json_schema(value: str, registry: Registry) -> Answer:
    from geuwsgi.config.reference import format_schema

    return Answer(format_schema(registry))


def _loops(value: str, registry: Registry) -> Answer:
    return Answer("gevent\n")


def _algorithms(value: str, registry: Registry) -> Answer:
    return Answer("spare\nspare2\nbacklog\nbusyness\nmanual\n")


def _plugins(value: str, registry: Registry) -> Answer:
    from geuwsgi.config.blocks import BUILT_IN_PLUGINS

    return Answer("".join(f"{name}\n" for name in sorted(BUILT_IN_PLUGINS)))


_QUESTIONS = {
    "help": _help,
    "help-option": _help_option,
    "version": _version,
    "python-version": _python_version,
    "dump-options": _dump_options,
    "completion": _completion,
    "json-schema": _json_schema,
    "loop-list": _loops,
    "cheaper-algos-list": _algorithms,
    "plugin-list": _plugins,
}
