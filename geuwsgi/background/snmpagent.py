"""What the SNMP agent tells, under uWSGI's place in the tree of all names.

1.1 counts the requests, 2.1 to 2.100 are the application's numbers, and with
enable-metrics each metric is where its oid says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geuwsgi.background.sections import metrics_section
from geuwsgi.protocol.snmp import COUNTER64, GAUGE32, Name, Number
from geuwsgi.shared import scoreboard as sb
from geuwsgi.shared.metrics import TYPES
from geuwsgi.shared.snmp import NUMBERS

if TYPE_CHECKING:
    from geuwsgi.background.commons import Commons
    from geuwsgi.options import Settings
    from geuwsgi.shared.scoreboard import Scoreboard

BASE: Name = (1, 3, 6, 1, 4, 1, 35156, 17)


def snmp_tree(
    commons: Commons, settings: Settings, board: Scoreboard
) -> dict[Name, Number]:
    """Return all numbers by name, as they are now."""
    requests = sum(
        row[sb.REQUESTS] + row[sb.KEPT_REQUESTS]
        for row in board.rows()
        if row[sb.WORKER_ID]
    )
    tree: dict[Name, Number] = {(*BASE, 1, 1): (COUNTER64, requests)}
    if commons.snmp is not None:
        for number in range(1, NUMBERS + 1):
            found = commons.snmp.get(number)
            if found is not None:
                name: Name = (*BASE, 2, number)
                tree[name] = found
    if commons.metrics is not None:
        for metric in metrics_section(commons, settings, board).values():
            place = _parse(metric["oid"])
            if place:
                is_counter = metric["type"] in (TYPES["counter"], TYPES["absolute"])
                tag = COUNTER64 if is_counter else GAUGE32
                tree.setdefault((*BASE, *place), (tag, metric["value"]))
    return tree


def _parse(oid: str) -> Name:
    parts = oid.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()
