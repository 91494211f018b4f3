"""From assignments to settings: values read by their kind, later ones winning.

Everything wrong is collected with its place, and everything the user should know is
noted: values read as something else, names nobody knows, options without effect.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Any, NamedTuple

from geuwsgi.config.getopt import ORIGIN as COMMAND_LINE
from geuwsgi.config.model import Assignment, ListenerSpec, Note, Topic
from geuwsgi.errors import ConfigError
from geuwsgi.options import Known, Option, Registry, Section, Settings, Standing

LISTENERS = frozenset(
    {
        "fastcgi-nph-socket",
        "fastcgi-socket",
        "fastrouter",
        "fastrouter-stats",
        "fastrouter-subscription-server",
        "http",
        "http-socket",
        "http-stats",
        "http-subscription-server",
        "http11-socket",
        "http-to-https",
        "https",
        "https-socket",
        "https2",
        "puwsgi-socket",
        "raw-socket",
        "rawrouter",
        "rawrouter-stats",
        "rawrouter-subscription-server",
        "scgi-nph-socket",
        "scgi-socket",
        "shared-socket",
        "socket",
        "sslrouter",
        "sslrouter-stats",
        "sslrouter-subscription-server",
        "sslrouter2",
        "suwsgi-socket",
        "undeferred-shared-socket",
        "uwsgi-socket",
    }
)


_VARIABLE = re.compile(r"\$\(([^)]*)\)")


class Resolution(NamedTuple):
    settings: Settings
    directives: tuple[Section, ...]
    listeners: tuple[ListenerSpec, ...]
    notes: list[Note]
    errors: list[ConfigError]


def resolve(
    assignments: Iterable[Assignment],
    registry: Registry,
    *,
    variables: Container[str] = (),
) -> Resolution:
    """Read every value and file it under its section.

    ``variables`` are the names that are the user's own: they are not unknown.
    """
    work = _Resolver(registry, variables)
    for assignment in assignments:
        work.take(assignment)
    return work.result()


class _Resolver:
    def __init__(self, registry: Registry, variables: Container[str]) -> None:
        self._registry = registry
        self._variables = variables
        self._values: dict[Option, Any] = {}
        self._lists: dict[Option, list[str]] = {}
        self._listeners: list[ListenerSpec] = []
        self._notes: list[Note] = []
        self._errors: list[ConfigError] = []
        self._implied: set[str] = set()
        self._unknown: list[Assignment] = []
        self._foreign: list[tuple[Assignment, Known]] = []
        self._noted: set[str] = set()

    def take(self, assignment: Assignment) -> None:
        known = self._registry.find(assignment.name)
        if known is None:
            self._unknown.append(assignment)
            return
        if known.standing is Standing.FOREIGN:
            self._foreign.append((assignment, known))
            return
        if known.option is not None:
            self._read(known.option, assignment)
        self._note_standing(known, assignment)

    def _read(self, option: Option, assignment: Assignment) -> None:
        try:
            reading = option.kind.read(assignment.value, option.bounds)
            if option.choices and reading.value not in option.choices:
                listed = ", ".join(option.choices)
                raise ValueError(f"{reading.value!r} is none of {listed}")
        except ValueError as exc:
            message = f"{assignment.name}: {exc}{_unset(assignment.value)}"
            self._errors.append(ConfigError(message, assignment.origin))
            return
        if reading.note:
            self._note(Topic.VALUE, reading.note, assignment)
        if option.kind.many:
            self._lists.setdefault(option, []).extend(reading.value)
            if option.name in LISTENERS:
                self._listen(option.name, reading.value[0], assignment.origin)
        else:
            self._values[option] = reading.value
            if option.name in LISTENERS:
                others = [one for one in self._listeners if one.kind != option.name]
                self._listeners = others
                self._listen(option.name, reading.value, assignment.origin)
        self._implied.update(option.implies)

    def _listen(self, kind: str, address: str, origin: str) -> None:
        self._listeners.append(ListenerSpec(kind, address, origin))

    def _note_standing(self, known: Known, assignment: Assignment) -> None:
        if known.name in self._noted:
            return
        if known.standing is Standing.INERT:
            self._noted.add(known.name)
            self._note(Topic.INERT, f"has no effect here: {known.reason}", assignment)
        elif known.standing is Standing.PENDING:
            self._noted.add(known.name)
            text = f"accepted, not in effect yet: {known.reason}"
            self._note(Topic.PENDING, text, assignment)

    def _note(self, topic: Topic, text: str, assignment: Assignment) -> None:
        message = f"{assignment.name}: {text}"
        self._notes.append(Note(topic, message, assignment.origin, assignment.name))

    def result(self) -> Resolution:
        for name in sorted(self._implied):
            option = self._registry.option(name)
            if option is not None:
                self._values.setdefault(option, True)
                self._values[option] = True
        values: dict[str, dict[str, Any]] = {}
        for option, value in self._values.items():
            values.setdefault(option.section, {})[option.field] = value
        for option, texts in self._lists.items():
            values.setdefault(option.section, {})[option.field] = tuple(texts)

        process = values.get("process", {})
        if "ienv" in process:
            process["env"] = (*process["ienv"], *process.get("env", ()))

        def build(section: type[Section]) -> Section:
            built: Section = section(**values.get(section.__name__.lower(), {}))
            return built

        sections: dict[str, Any] = {
            section.__name__.lower(): build(section)
            for section in self._registry.sections
        }
        directives = tuple(build(section) for section in self._registry.directives)
        self._judge_names(values.get("language", {}))
        return Resolution(
            Settings(**sections),
            directives,
            tuple(self._listeners),
            self._notes,
            self._errors,
        )

    def _judge_names(self, language: dict[str, Any]) -> None:
        for assignment, known in self._foreign:
            text = f"belongs to {known.reason}"
            if language.get("ignore_foreign"):
                self._note(Topic.FOREIGN, f"{text}; skipped", assignment)
            else:
                message = (
                    f"{assignment.name}: {text}, which geuwsgi does not serve"
                    " ('ignore-foreign' skips such options)"
                )
                self._errors.append(ConfigError(message, assignment.origin))
        seen: set[tuple[str, str]] = set()
        for assignment in self._unknown:
            if assignment.name in self._variables:
                continue
            key = (assignment.name, assignment.origin)
            if key in seen:
                continue
            seen.add(key)
            nearest = self._registry.nearest(assignment.name)
            hint = f"; did you mean {nearest!r}?" if nearest else ""
            message = f"unknown option {assignment.name!r}{hint}"
            if language.get("strict") or assignment.origin == COMMAND_LINE:
                self._errors.append(ConfigError(message, assignment.origin))
            else:
                note = Note(Topic.UNKNOWN, message, assignment.origin, assignment.name)
                self._notes.append(note)


def _unset(value: str | None) -> str:
    """Why a wrong value may be wrong: a variable in it that was not there."""
    found = _VARIABLE.search(value or "")
    return f"; the variable {found[1]} is not set" if found else ""
