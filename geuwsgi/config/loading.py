"""Reading a whole configuration, in uWSGI's order.

Environment, then the options of the command line, then its bare words; files are read
where they are named. Options later in this order win; lists grow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from geuwsgi import __version__
from geuwsgi.config.configuration import Configuration
from geuwsgi.config.dialect import Reader
from geuwsgi.config.getopt import parse_command_line
from geuwsgi.config.host import Host, SystemHost
from geuwsgi.config.magic import MagicTable
from geuwsgi.config.model import Note, Topic
from geuwsgi.config.resolve import Resolution, resolve
from geuwsgi.errors import ConfigError, ConfigErrors
from geuwsgi.options import REGISTRY, Commands, Language, Registry, Settings

MAX_BACKLOG = 4096


class Exit(Exception):
    """The configuration asked to end here, with this exit status (option ``exit``)."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the configuration exits with status {status}")
        self.status = status


class Loading(NamedTuple):
    """A configuration and all that is wrong with it."""

    configuration: Configuration
    errors: list[ConfigError]
    exit_status: int | None


def load(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    host: Host | None = None,
    registry: Registry = REGISTRY,
) -> Configuration:
    """Read the configuration that a command line and an environment make.

    ``argv`` is without the program's name. Raises ConfigErrors with everything that
    is wrong, and Exit if the configuration itself asks to end. Reads files through
    ``host``, the machine itself if not given.
    """
    loading = read(argv, environ, host=host, registry=registry)
    if loading.exit_status is not None:
        raise Exit(loading.exit_status)
    if loading.errors:
        raise ConfigErrors(loading.errors)
    return loading.configuration


def read(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    host: Host | None = None,
    registry: Registry = REGISTRY,
) -> Loading:
    """As ``load``, but returns what is wrong instead of raising it."""
    host = host or SystemHost(environ)
    magic = MagicTable(host, __version__)
    reader = Reader(registry, host, magic)
    command_line = parse_command_line(argv, registry)
    reader.read_environment()
    reader.read_options(command_line.options)
    reader.read_arguments(command_line.arguments)
    assignments = reader.finish()
    resolution = resolve(assignments, registry, variables=reader.variables)
    language, commands = _directives(resolution)
    configuration = Configuration(
        settings=_with_backlog(resolution.settings, host),
        assignments=tuple(assignments),
        notes=(*reader.notes, *resolution.notes),
        listeners=resolution.listeners,
        magic_table=magic.snapshot(),
        commands=commands,
        language=language,
    )
    errors = [*command_line.errors, *reader.errors, *resolution.errors]
    return Loading(_with_prints(configuration), errors, reader.exit_status)


def _directives(resolution: Resolution) -> tuple[Language, Commands]:
    language, commands = Language(), Commands()
    for section in resolution.directives:
        if isinstance(section, Language):
            language = section
        elif isinstance(section, Commands):
            commands = section
    return language, commands


def _with_prints(configuration: Configuration) -> Configuration:
    """Add the texts that ``print`` and ``show-config`` want printed at start."""
    texts = list(configuration.language.print_)
    if configuration.commands.show_config:
        texts.append(configuration.show().rstrip("\n"))
    if not texts:
        return configuration
    return configuration.replace(
        notes=(*configuration.notes, *(Note(Topic.PRINT, text) for text in texts))
    )


def _with_backlog(settings: Settings, host: Host) -> Settings:
    sockets = settings.sockets
    if "listen" in sockets.changed():
        return settings
    limit = host.somaxconn()
    backlog = min(limit, MAX_BACKLOG) if limit > 0 else 128
    return settings.replace(sockets=sockets.replace(listen=backlog))
