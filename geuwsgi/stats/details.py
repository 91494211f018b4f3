"""What only a worker can tell of itself: its applications, its requests in flight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from geuwsgi.wsgi.applications import Application


class LiveRequest(Protocol):
    """A request in flight, as the server knows it."""

    @property
    def environ(self) -> Mapping[str, Any]: ...
    @property
    def started(self) -> float: ...


def worker_details(
    applications: Iterable[Application],
    live: Mapping[int, LiveRequest],
    served: Sequence[int] = (),
) -> dict[str, Any]:
    """Return, in a worker, what only it knows, as JSON can carry it.

    ``live`` are the requests in flight by core, ``served`` how many each core has
    ended. Cores that never did anything are left out.
    """
    cores = {
        index: {"id": index, "requests": count, "vars": []}
        for index, count in enumerate(served)
        if count
    }
    for index, request in live.items():
        core = cores.setdefault(index, {"id": index, "requests": 0, "vars": []})
        core["started"] = int(request.started) or 1
        core["vars"] = [
            f"{key}={value}"
            for key, value in list(request.environ.items())
            # Request variables; not wsgi.input and what middleware adds.
            if type(value) is str and "." not in key
        ]
    return {
        "apps": [
            {
                "id": app.number,
                "mountpoint": app.mountpoint,
                "startup_time": app.startup_s,
                "requests": app.requests,
                "exceptions": app.exceptions,
                "chdir": app.chdir,
            }
            for app in applications
        ],
        "cores": list(cores.values()),
    }
