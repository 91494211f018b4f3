"""What shared things contribute to the statistics, under uWSGI's names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from geuwsgi.background.builtinmetrics import BuiltinMetrics
from geuwsgi.background.spooler.files import scan
from geuwsgi.shared.metrics import TYPES

if TYPE_CHECKING:
    from geuwsgi.background.commons import Commons
    from geuwsgi.options import Settings
    from geuwsgi.shared.scoreboard import Scoreboard


def statistics_sections(
    commons: Commons, settings: Settings, board: Scoreboard
) -> dict[str, Any]:
    """Return the sections; what was not asked for is left out."""
    sections: dict[str, Any] = {}
    if len(commons.caches):
        sections["caches"] = commons.caches.statistics()
    if commons.metrics is not None:
        sections["metrics"] = metrics_section(commons, settings, board)
    if settings.spooler.spooler:
        sections["spoolers"] = _spoolers(commons, settings)
    return sections


def metrics_section(
    commons: Commons, settings: Settings, board: Scoreboard
) -> dict[str, dict[str, Any]]:
    """Return type, oid and value of each metric; there must be some."""
    assert commons.metrics is not None
    builtin = BuiltinMetrics(board, settings.workers.processes)
    found = {
        name: {"type": kind, "oid": oid, "value": value}
        for name, kind, oid, value in builtin.all()
    }
    for spec in commons.metrics.specs:
        value = commons.metrics.get(spec.name)
        found[spec.name] = {
            "type": TYPES[spec.type],
            "oid": spec.oid,
            "value": (builtin.get(spec.alias) if value is None else value) or 0,
        }
    return found


def _spoolers(commons: Commons, settings: Settings) -> list[dict[str, Any]]:
    pids = commons.roster.spooler_pids() if commons.roster is not None else []
    processes = max(1, settings.spooler.spooler_processes)
    return [
        {
            "dir": os.path.abspath(directory),
            "pid": pid,
            "tasks": sum(1 for _ in scan(directory)),
            "respawns": 0,
            "running": 0,
        }
        for place, directory in enumerate(settings.spooler.spooler)
        for pid in pids[place * processes : (place + 1) * processes]
    ]
