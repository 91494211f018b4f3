"""The nouns of a configuration: assignments, notes and listeners.

Plain values; how they come about is decided in the other modules of the package.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Assignment(NamedTuple):
    """One option as it was written, after substitution.

    ``value`` is None for a flag that stood alone on the command line. ``origin`` is
    where it stands: ``app.ini:7``, ``command line``, ``environment UWSGI_HTTP``.
    """

    name: str
    value: str | None
    origin: str


class Topic(Enum):
    """What a note is about."""

    VALUE = "value"
    """A value was read as something else than uWSGI would read."""
    UNKNOWN = "unknown"
    INERT = "inert"
    FOREIGN = "foreign"
    PENDING = "pending"
    SOURCE = "source"
    """A file or section is not what it seems: a missing section, a lost line."""
    PRINT = "print"
    """Text the configuration asked to print."""
    COMBINATION = "combination"
    """Options that are right one by one and useless together."""


class Note(NamedTuple):
    """Something the user should read. ``str(note)`` is the line to print."""

    topic: Topic
    message: str
    origin: str = ""
    option: str = ""

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}" if self.origin else self.message


class ListenerSpec(NamedTuple):
    """One address to listen on. ``kind`` is the option's name, as in ``http``."""

    kind: str
    address: str
    origin: str
