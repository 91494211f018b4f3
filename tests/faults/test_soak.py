"""Mixed load for as long as it takes: nothing may grow.

``GEUWSGI_SOAK_MINUTES`` is how long (`tox -e soak`: an hour); a few seconds if it is
not set. Each sample is taken while no client is there, so that descriptors and
greenlets can be compared to the last one. ``GEUWSGI_SOAK_TABLE`` names a file for them.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import pytest

from geuwsgi.testing.client import free_port, get
from geuwsgi.testing.process import ServerProcess
from tests.faults.conftest import start
from tests.faults.mixedload import KINDS, MixedLoad, Target

MINUTES = float(os.environ.get("GEUWSGI_SOAK_MINUTES", "0.03"))
TABLE = os.environ.get("GEUWSGI_SOAK_TABLE", "")
WORKERS = 2

#: Memory that may come in the second half of a soak: pages that the allocator keeps; in
#: a short one, what the first visits of each kind take.
_SPARE_KIB = 2048 if MINUTES >= 10 else 32768
_FEWEST_SAMPLES = 4


@dataclass(frozen=True)
class Sample:
    """What all processes hold between two visits; sums over the workers."""

    minute: float
    served: int
    memory_kib: int
    other_memory_kib: int
    descriptors: int
    greenlets: int
    objects: int


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def census(address: str) -> dict[int, dict[str, int]]:
    """What each worker says it holds, by pid."""
    found: dict[int, dict[str, int]] = {}
    deadline = time.monotonic() + 20
    while len(found) < WORKERS:
        assert time.monotonic() < deadline, f"only {sorted(found)} answer"
        told = json.loads(get(address, "/census").body)
        found[told["pid"]] = told
    return found


def take(
    server: ServerProcess, load: MixedLoad, target: Target, minute: float
) -> Sample:
    with load.quiet():
        told = census(target.http)

        def settled() -> bool:
            # Connections that a client has left are closed soon, not at once.
            before = [descriptors(pid) for pid in told]
            time.sleep(0.1)
            return before == [descriptors(pid) for pid in told]

        server.wait_for(settled, "has closed the connections")
        told = census(target.http)
        others = set(server.processes()) - set(told)
        return Sample(
            round(minute, 2),
            load.served.total(),
            sum(resident_kib(pid) for pid in told),
            sum(resident_kib(pid) for pid in others),
            sum(descriptors(pid) for pid in told) + sum(map(descriptors, others)),
            sum(one["greenlets"] for one in told.values()),
            sum(one["objects"] for one in told.values()),
        )


@pytest.mark.timeout(120 + 60 * MINUTES * 2)
def test_nothing_grows_under_a_mixed_load(apps: Path) -> None:
    uwsgi = f"127.0.0.1:{free_port()}"
    server, http = start(
        apps,
        f"processes = {WORKERS}\ngevent = 50\nlisten = 1024\nsocket = {uwsgi}\n"
        "cache2 = name=default,items=100\nreq-logger = file:requests.log\nlog-maxsize = 1000000\n"
        "stats = stats.sock\n",
        module="mixed:application",
    )
    target = Target(http, uwsgi)
    samples: list[Sample] = []
    with server, MixedLoad(target) as load:
        began = time.monotonic()
        step = min(60.0, MINUTES * 60 / 4)
        while (
            time.monotonic() - began < MINUTES * 60
            or len(samples) < _FEWEST_SAMPLES
            or set(load.served) != set(KINDS)
        ):
            time.sleep(step)
            samples.append(take(server, load, target, (time.monotonic() - began) / 60))
            if TABLE:
                lines = [" ".join(map(str, astuple(sample))) for sample in samples]
                Path(TABLE).write_text("\n".join(lines) + "\n")
            assert not load.failures
    check(samples)


def check(samples: list[Sample]) -> None:
    """The second half holds what the first held; its beginning is warming up."""
    settled = samples[len(samples) // 4 :]
    middle = len(settled) // 2
    first, second = settled[:middle], settled[middle:]
    assert first
    assert second
    for name, spare in (
        ("memory_kib", _SPARE_KIB),
        ("other_memory_kib", _SPARE_KIB),
        ("descriptors", 2),
        ("greenlets", 2),
        ("objects", 2000),
    ):
        before = statistics.median(getattr(sample, name) for sample in first)
        after = statistics.median(getattr(sample, name) for sample in second)
        assert after <= before * 1.02 + spare, f"{name} grew: {samples}"
