"""``geuwsgi check``: what a start would make of a configuration, without starting.

Every option in a table with what comes of it, then what is wrong with options
together, then what is wrong. A name nobody knows is an error here. Files of gunicorn
and NGINX Unit are not checked but translated.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TextIO

from geuwsgi.config.combinations import find_combinations
from geuwsgi.config.configuration import Configuration
from geuwsgi.config.convert import convert
from geuwsgi.config.host import Host, SystemHost
from geuwsgi.config.loading import Loading, read
from geuwsgi.config.model import Assignment, Note, Topic
from geuwsgi.errors import ConfigError
from geuwsgi.options import REGISTRY, Registry, Standing

Judge = Callable[[Configuration], Iterable[ConfigError]]
"""Finds what is wrong with values that only their users can read, as addresses."""

CLEAN, WARNED, FAILED = 0, 1, 2
USAGE = """\
usage: geuwsgi check CONFIG… [OPTIONS]

Read a configuration as a start would, and tell what comes of each option.
CONFIG is a file of any format geuwsgi reads, a gunicorn.conf.py or a
configuration of NGINX Unit; OPTIONS are options of geuwsgi.

  --strict   end with status 1 if there is a warning
  --json     write one JSON object instead of a table
  --help     print this

The status is 0 if all is well and 2 if there is an error.
"""
_DIRECTIVE_STATUS = "read"


class Row(NamedTuple):
    """One option in the table."""

    origin: str
    name: str
    value: str | None
    status: str
    detail: str


class Report(NamedTuple):
    """What ``check`` found. ``errors`` and ``warnings`` are lines to print."""

    rows: list[Row]
    warnings: list[str]
    errors: list[str]

    def status(self, *, strict: bool) -> int:
        if self.errors:
            return FAILED
        return WARNED if strict and self.warnings else CLEAN


def main(
    argv: Sequence[str],
    environ: Mapping[str, str] | None = None,
    stdout: TextIO | None = None,
    *,
    judges: Sequence[Judge] = (),
) -> int:
    """Run ``geuwsgi check`` with the words after ``check``; returns the exit status."""
    out = stdout or sys.stdout
    words = list(argv)
    if not words or "--help" in words or "-h" in words:
        out.write(USAGE)
        return CLEAN if words else FAILED
    strict = _take(words, "--strict")
    as_json = _take(words, "--json")
    environ = os.environ if environ is None else environ
    host = SystemHost(environ)
    foreign = [word for word in words if _is_foreign(word)]
    if foreign:
        return _convert(foreign, host, out)
    report = check(words, environ, host=host, judges=judges)
    status = report.status(strict=strict)
    if as_json:
        out.write(_as_json(report, status))
    else:
        out.write(format_report(report))
    return status


def _take(words: list[str], word: str) -> bool:
    found = word in words
    while word in words:
        words.remove(word)
    return found


def _is_foreign(word: str) -> bool:
    base = os.path.basename(word)
    if word.startswith("-"):
        return False
    if base.endswith(".conf.py") or base == "gunicorn.py":
        return True
    if not base.endswith(".json"):
        return False
    try:
        with open(word, encoding="utf-8") as file:
            root = json.load(file)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(root, dict) and "uwsgi" not in root and "listeners" in root


def _convert(names: Sequence[str], host: Host, out: TextIO) -> int:
    status = CLEAN
    for name in names:
        try:
            out.write(convert(name, host))
        except ConfigError as exc:
            out.write(f"error: {exc}\n")
            status = FAILED
    return status


def check(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    host: Host | None = None,
    registry: Registry = REGISTRY,
    judges: Sequence[Judge] = (),
) -> Report:
    """Read a configuration and judge it, with the help of ``judges``."""
    host = host or SystemHost(environ)
    loading = read(argv, environ, host=host, registry=registry)
    configuration = loading.configuration
    together = find_combinations(configuration, host.somaxconn())
    rows = _rows(loading, registry)
    warnings: list[str] = []
    errors = [str(error) for error in loading.errors]
    for judge in judges:
        errors.extend(str(error) for error in judge(configuration))
    for note in (*configuration.notes, *together):
        if note.topic in (Topic.PRINT, Topic.INERT):
            continue
        is_error = note.topic is Topic.UNKNOWN and not note.origin.startswith("env")
        (errors if is_error else warnings).append(str(note))
    return Report(rows, warnings, errors)


def _rows(loading: Loading, registry: Registry) -> list[Row]:
    notes: dict[tuple[str, str], list[Note]] = {}
    for note in loading.configuration.notes:
        if note.topic is Topic.VALUE:
            notes.setdefault((note.origin, note.option), []).append(note)
    unknown = {
        (note.origin, note.option): note
        for note in loading.configuration.notes
        if note.topic is Topic.UNKNOWN
    }
    rows = []
    for assignment in loading.configuration.assignments:
        key = (assignment.origin, assignment.name)
        row = _row(assignment, registry, unknown.get(key))
        remarks = [note.message.partition(": ")[2] for note in notes.get(key, ())]
        detail = "; ".join(part for part in (row.detail, *remarks) if part)
        rows.append(row._replace(detail=detail))
    return rows


def _row(assignment: Assignment, registry: Registry, unknown: Note | None) -> Row:
    name, value, origin = assignment
    known = registry.find(name)
    if known is None:
        if unknown is None:
            return Row(origin, name, value, "variable", "")
        hint = unknown.message.partition("; ")[2]
        return Row(origin, name, value, "unknown", hint)
    if known.standing is not Standing.WORKS:
        return Row(origin, name, value, known.standing.value, known.reason)
    option = known.option
    if option is not None and option.directive:
        return Row(origin, name, value, _DIRECTIVE_STATUS, "")
    if known.reason:
        return Row(origin, name, value, "always so", known.reason)
    if option is not None and option.differs:
        return Row(origin, name, value, "works, differs", option.differs)
    return Row(origin, name, value, "works", "")


def format_report(report: Report) -> str:
    """The report as text: a table, the warnings, the errors, and a count."""
    lines = []
    shown = [(row.origin, _shown(row), row.status, row.detail) for row in report.rows]
    widths = [
        min(max((len(item[column]) for item in shown), default=0), limit)
        for column, limit in ((0, 32), (1, 48), (2, 20))
    ]
    for origin, option, status, detail in shown:
        line = f"{origin:{widths[0]}}  {option:{widths[1]}}  {status:{widths[2]}}"
        lines.append(f"{line}  {detail}".rstrip())
    if lines:
        lines.append("")
    lines.extend(f"warning: {warning}" for warning in report.warnings)
    lines.extend(f"error: {error}" for error in report.errors)
    lines.append(
        f"{len(report.rows)} options, {len(report.warnings)} warnings,"
        f" {len(report.errors)} errors"
    )
    return "\n".join(lines) + "\n"


def _shown(row: Row) -> str:
    return row.name if row.value is None else f"{row.name} = {row.value}"


def _as_json(report: Report, status: int) -> str:
    document = {
        "status": status,
        "options": [row._asdict() for row in report.rows],
        "warnings": report.warnings,
        "errors": report.errors,
    }
    return json.dumps(document, indent=2) + "\n"
