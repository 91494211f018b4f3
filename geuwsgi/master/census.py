"""What an emperor tells of his vassals, under uWSGI's names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from geuwsgi.master.realm import Realm, Stage, Vassal

#: What clients compare with: the version of uWSGI whose JSON this is.
COMPATIBLE_VERSION: Final = "2.0.31"
_NO_PROCESS: Final = -1


def vassals_of(
    realm: Realm,
    pids: Mapping[str, int],
    sockets: Mapping[str, str],
    *,
    now: float,
    unix_offset: float,
) -> list[dict[str, object]]:
    """Those that run or sleep. ``pids`` and ``sockets`` (on demand) are by path.

    ``now`` is monotonic, and ``unix_offset`` makes unix seconds of such times.
    """

    def when(moment: float | None) -> int:
        if moment is None or math.isinf(moment):
            return 0
        return int(moment + unix_offset)

    def told(path: str, vassal: Vassal) -> dict[str, object]:
        candidate = vassal.candidate
        return {
            "id": candidate.name,
            "pid": pids.get(path, _NO_PROCESS),
            "born": when(vassal.started_at),
            "last_mod": candidate.modified_ns // 10**9,
            "last_heartbeat": when(vassal.last_heartbeat),
            "loyal": int(vassal.loyal_at <= now),
            "ready": int(vassal.ready_at <= now),
            # One is ready here when a worker accepts.
            "accepting": int(vassal.ready_at <= now),
            "last_loyal": when(vassal.loyal_at),
            "last_ready": when(vassal.ready_at),
            "last_accepting": when(vassal.ready_at),
            "first_run": when(vassal.first_started_at),
            "last_run": when(vassal.started_at),
            "cursed": int(vassal.stage is Stage.ENDING),
            "zerg": int(bool(vassal.helps)),
            "on_demand": sockets.get(path, ""),
            "uid": candidate.uid,
            "gid": candidate.gid,
            "monitor": candidate.directory or candidate.path,
            "reloads": vassal.reloads,
            "respawns": max(0, vassal.starts - 1),
        }

    return [
        told(path, vassal)
        for path, vassal in realm.vassals.items()
        if path in pids or path in sockets
    ]


def blacklist_of(realm: Realm) -> list[dict[str, object]]:
    """Those that wait because they failed, with their milliseconds."""
    return [
        {
            "id": vassal.candidate.name,
            "throttle_level": int(vassal.delay_s * 1000),
        }
        for vassal in realm
        if vassal.stage is Stage.WAITING and vassal.delay_s
    ]


def throttle_level_of(realm: Realm) -> int:
    """The longest wait of one that failed, in milliseconds."""
    waits = (v.delay_s for v in realm if v.stage is Stage.WAITING)
    return int(1000 * max(waits, default=0.0))
