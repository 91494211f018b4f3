"""A configuration, whole: what the server is to do, and how that was said.

The master reads it once and hands it to the other processes as JSON text, so that
they need no file, no environment and no second reading.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from geuwsgi.config.model import Assignment, ListenerSpec, Note, Topic
from geuwsgi.options import (
    REGISTRY,
    Commands,
    Language,
    Registry,
    Section,
    Settings,
)


class Configuration:
    """The result of ``load``. Not changed after it is made.

    ``assignments`` are all options in order, as written and with their values
    substituted; ``notes`` what to tell the user at start; ``listeners`` the addresses
    in the order of their lines; ``commands`` what to do instead of serving.
    """

    __slots__ = (
        "assignments",
        "commands",
        "language",
        "listeners",
        "magic_table",
        "notes",
        "settings",
    )

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        assignments: tuple[Assignment, ...] = (),
        notes: tuple[Note, ...] = (),
        listeners: tuple[ListenerSpec, ...] = (),
        magic_table: Mapping[str, str] | None = None,
        commands: Commands | None = None,
        language: Language | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.assignments = assignments
        self.notes = notes
        self.listeners = listeners
        self.magic_table = dict(magic_table or {})
        self.commands = commands or Commands()
        self.language = language or Language()

    @property
    def opt(self) -> dict[str, bytes | bool]:
        """What ``uwsgi.opt`` holds: names as written, the last value of each.

        A value is bytes; True is a flag that stood alone on the command line.
        """
        return {
            name: True if value is None else value.encode("utf-8", "surrogateescape")
            for name, value, _ in self.assignments
        }

    def show(self) -> str:
        """The options as an ini file, the way ``show-config`` prints them."""
        lines = [";uWSGI instance configuration", "[uwsgi]"]
        for name, value, _ in self.assignments:
            lines.append(f"{name} = {'true' if value is None else value}")
        lines.append(";end of configuration")
        return "\n".join(lines) + "\n"

    def replace(self, **changes: Any) -> Configuration:
        """A copy with some parts exchanged."""
        kept = {part: getattr(self, part) for part in self.__slots__}
        return type(self)(**{**kept, **changes})

    def to_json(self) -> str:
        """Everything as one line of JSON text, for ``from_json``."""
        sections = {
            name: getattr(self.settings, name).changed()
            for name in Settings.__slots__
            if getattr(self.settings, name).changed()
        }
        return json.dumps(
            {
                "settings": sections,
                "commands": self.commands.changed(),
                "language": self.language.changed(),
                "assignments": self.assignments,
                "notes": [(n.topic.value, *n[1:]) for n in self.notes],
                "listeners": self.listeners,
                "magic": self.magic_table,
            }
        )

    @classmethod
    def from_json(cls, text: str, registry: Registry = REGISTRY) -> Configuration:
        """The configuration that ``to_json`` wrote down."""
        stored = json.loads(text)
        classes = {section.__name__.lower(): section for section in registry.sections}
        sections: dict[str, Any] = {
            name: _section(classes[name], values)
            for name, values in stored["settings"].items()
        }
        return cls(
            settings=Settings(**sections),
            assignments=tuple(Assignment(*item) for item in stored["assignments"]),
            notes=tuple(Note(Topic(topic), *rest) for topic, *rest in stored["notes"]),
            listeners=tuple(ListenerSpec(*item) for item in stored["listeners"]),
            magic_table=stored["magic"],
            commands=_section(Commands, stored["commands"]),
            language=_section(Language, stored["language"]),
        )


def _section(section: type[Any], values: dict[str, Any]) -> Any:
    lists = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    return section(**lists)


__all__ = ["Configuration", "Section"]
