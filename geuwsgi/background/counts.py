"""How many processes the options ask for beside the workers, and what each is for.

No gevent here: the master counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.shared.mailboxes import Farm

if TYPE_CHECKING:
    from geuwsgi.options import Settings

# What a bare ``mule`` may have become on its way here.
_NO_PROGRAM = ("", "1", "true")


def mule_count(settings: Settings) -> int:
    return len(settings.mules.mule) + settings.mules.mules


def spooler_count(settings: Settings) -> int:
    spooler = settings.spooler
    return len(spooler.spooler) * max(1, spooler.spooler_processes)


def spooler_directory(settings: Settings, number: int) -> str:
    """Return the directory that a spooler, numbered from 1, works on."""
    spooler = settings.spooler
    return spooler.spooler[(number - 1) // max(1, spooler.spooler_processes)]


def mule_programs(
    settings: Settings, order: Iterable[tuple[str, str | None]]
) -> list[str]:
    """Return the program of each mule, ``""`` for those that wait for messages.

    ``order`` is the name and value of each line of the configuration: mules are
    numbered as their lines come.
    """
    programs: list[str] = []
    for name, value in order:
        if name == "mule":
            programs.append("" if value in _NO_PROGRAM else value or "")
        elif name == "mules":
            programs += [""] * settings.mules.mules
    count = mule_count(settings)
    return (programs + [""] * count)[:count]


def parse_farm(text: str, mules: int) -> Farm:
    """Return the farm of a line ``name:1,2``. Raises ConfigError."""
    name, colon, numbers = text.partition(":")
    members = []
    for number in filter(None, (part.strip() for part in numbers.split(","))):
        if not number.isdigit() or not 0 < int(number) <= mules:
            raise ConfigError(f"farm {name!r}: there is no mule {number!r}")
        members.append(int(number))
    if not name or not colon or not members:
        raise ConfigError(f"a farm is name:mule,mule, not {text!r}")
    return Farm(name, tuple(members))
