"""What a reload costs the visitors: `python -m benchmarks.reload`.

geuwsgi, uWSGI with gevent and gunicorn with gevent workers run the same application
with the same number of workers and get the same mixed traffic, one after the other.
Each is told to reload many times. Counted is what was lost, measured how long it takes
until the new code answers. Then each runs a Flask application with four workers, and
the kernel tells how much of its memory is shared.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from geuwsgi.testing import traffic_application
from geuwsgi.testing.client import MalformedResponse, free_port, get
from geuwsgi.testing.traffic import EVERYTHING, Traffic, write_version

from .environment import APPLICATIONS, Environment

WORKERS = 2
MEMORY_WORKERS = 4
NEW_CODE_LIMIT_S = 60.0

Command = Callable[[Environment, str, str, int], "list[str]"]


def _uwsgi_options(address: str, module: str, workers: int) -> list[str]:
    return [
        *("--http-socket", address, "--module", module, "--gevent", "100"),
        *("--master", "--processes", str(workers), "--listen", "1024"),
        *("--disable-logging", "--need-app"),
    ]


def _geuwsgi(
    environment: Environment, address: str, module: str, workers: int
) -> list[str]:
    return [str(environment.geuwsgi), *_uwsgi_options(address, module, workers)]


def _uwsgi(
    environment: Environment, address: str, module: str, workers: int
) -> list[str]:
    return [
        str(environment.peers / "uwsgi"),
        *_uwsgi_options(address, module, workers),
        *("--gevent-monkey-patch", "--pythonpath", ".", "--http-websockets"),
    ]


def _uwsgi_lazy(
    environment: Environment, address: str, module: str, workers: int
) -> list[str]:
    return [*_uwsgi(environment, address, module, workers), "--lazy-apps"]


def _gunicorn(
    environment: Environment, address: str, module: str, workers: int
) -> list[str]:
    return [
        *(str(environment.peers / "gunicorn"), "--worker-class", "gevent"),
        *("--workers", str(workers), "--bind", address, "--log-level", "warning"),
        *("--keep-alive", "75", "--backlog", "1024", f"{module}:application"),
    ]


def _gunicorn_preload(
    environment: Environment, address: str, module: str, workers: int
) -> list[str]:
    return [*_gunicorn(environment, address, module, workers), "--preload"]


@dataclass(frozen=True)
class Contestant:
    title: str
    command: Command
    reloads_code: bool = True
    """Whether SIGHUP loads the application anew."""
    without: tuple[str, ...] = ()
    """Kinds of traffic it cannot serve."""


CONTESTANTS = {
    "geuwsgi": Contestant("geuwsgi", _geuwsgi),
    # Its http-socket keeps no connection alive, and while one websocket is open a
    # reload serves nobody until the mercy of 60 seconds is over.
    "uwsgi": Contestant("uWSGI --gevent", _uwsgi, without=("keep-alive", "websocket")),
    "uwsgi-lazy": Contestant(
        "uWSGI --gevent --lazy-apps", _uwsgi_lazy, without=("keep-alive", "websocket")
    ),
    "gunicorn": Contestant("gunicorn, gevent", _gunicorn, without=("websocket",)),
    "gunicorn-preload": Contestant(
        "gunicorn, gevent, --preload",
        _gunicorn_preload,
        reloads_code=False,
        without=("websocket",),
    ),
}


@dataclass(frozen=True)
class Memory:
    """What one process has; `uss_kib` is its own alone."""

    rss_kib: int
    pss_kib: int
    uss_kib: int


class Running:
    """A started server, from `with` to its end. Its log is in `directory`."""

    def __init__(self, command: list[str], directory: Path) -> None:
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def reload(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until_answering(self, address: str) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if get(address, timeout=5).status == 200:
                    return
            except (OSError, MalformedResponse):
                time.sleep(0.05)
        raise SystemExit(f"the server does not answer: {self.log()}")

    def memory(self) -> list[Memory]:
        """What each process of its session has."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and _session_of(entry) == self._process.pid:
                found.append(_memory_of(entry))
        return found


def _session_of(pid: str) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[3])


def _memory_of(pid: str) -> Memory:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {name: int(rest.split()[0]) for name, rest in (x.split(":") for x in lines)}
    return Memory(
        rss_kib=kib["Rss"],
        pss_kib=kib["Pss"],
        uss_kib=kib["Private_Clean"] + kib["Private_Dirty"],
    )


@dataclass
class Outcome:
    """What was measured of one server."""

    title: str
    reloads: int = 0
    reload_s: list[float] = field(default_factory=list)
    answered: dict[str, int] = field(default_factory=dict)
    lost: dict[str, dict[str, int]] = field(default_factory=dict)
    longest_s: dict[str, float] = field(default_factory=dict)
    usual_longest_s: float = 0.0
    private_mib: float = 0.0
    shared_mib: float = 0.0
    whole_mib: float = 0.0


def reload_often(
    environment: Environment, contestant: Contestant, reloads: int
) -> Outcome:
    """Reload under traffic; the outcome has no memory yet."""
    outcome = Outcome(contestant.title)
    clients = {k: n for k, n in EVERYTHING.items() if k not in contestant.without}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        shutil.copy(traffic_application.__file__, directory / "site_application.py")
        write_version(directory / "version", "v0")
        running, address = _start(
            environment, contestant, directory, "site_application", WORKERS
        )
        with running:
            with Traffic(address, clients) as traffic:
                time.sleep(4.0)  # as long as several of the longest exchanges
                outcome.usual_longest_s = traffic.tallies["short"].longest_s
                for number in range(1, reloads + 1):
                    _reload_once(running, directory, traffic, f"v{number}", outcome)
                time.sleep(2.0)
            for kind, tally in traffic.tallies.items():
                outcome.answered[kind] = tally.answered
                outcome.longest_s[kind] = tally.longest_s
            outcome.lost = traffic.losses()
    return outcome


def _reload_once(
    running: Running, directory: Path, traffic: Traffic, version: str, outcome: Outcome
) -> None:
    write_version(directory / "version", version)
    begun = time.monotonic()
    running.reload()
    while not traffic.has_seen(version):
        if time.monotonic() - begun > NEW_CODE_LIMIT_S:
            raise SystemExit(f"{outcome.title} does not reload: {running.log()}")
        time.sleep(0.01)
    outcome.reloads += 1
    outcome.reload_s.append(traffic.first_seen[version] - begun)
    time.sleep(2.0)  # until the old generation has finished


def measure_memory(
    environment: Environment, contestant: Contestant, outcome: Outcome
) -> None:
    """How much memory four workers with a Flask application share."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        shutil.copy(APPLICATIONS / "flask_page.py", directory)
        running, address = _start(
            environment, contestant, directory, "flask_page", MEMORY_WORKERS
        )
        with running:
            for _ in range(200):
                get(address)
            memory = running.memory()
    largest = sorted(memory, key=lambda use: use.rss_kib)[-MEMORY_WORKERS:]
    outcome.private_mib = statistics.mean(use.uss_kib for use in largest) / 1024
    outcome.shared_mib = (
        statistics.mean(use.rss_kib - use.uss_kib for use in largest) / 1024
    )
    outcome.whole_mib = sum(use.pss_kib for use in memory) / 1024


def _start(
    environment: Environment,
    contestant: Contestant,
    directory: Path,
    module: str,
    workers: int,
) -> tuple[Running, str]:
    address = f"127.0.0.1:{free_port()}"
    command = contestant.command(environment, address, module, workers)
    running = Running(command, directory)
    try:
        running.wait_until_answering(address)
    except BaseException:
        running.__exit__()
        raise
    time.sleep(1.0)  # until every worker is there
    return running, address


def table(outcomes: list[Outcome]) -> str:
    """What was measured, as Markdown."""
    kinds = list(EVERYTHING)
    reload_rows = [
        f"| server | reloads | new code answers after, s | longest | "
        f"longest short request, s | without reloads, s | {' | '.join(kinds)} |",
        f"|---|---:|---:|---:|---:|---:|{'---:|' * len(kinds)}",
    ]
    memory_rows = [
        "| server | private of each worker, MiB | shared with others, MiB | "
        "all processes, MiB |",
        "|---|---:|---:|---:|",
    ]
    for outcome in outcomes:
        if outcome.reloads:
            lost = " | ".join(_lost(outcome, kind) for kind in kinds)
            reload_rows.append(
                f"| {outcome.title} | {outcome.reloads} | "
                f"{statistics.median(outcome.reload_s):.2f} | "
                f"{max(outcome.reload_s):.2f} | {outcome.longest_s['short']:.2f} | "
                f"{outcome.usual_longest_s:.2f} | {lost} |"
            )
        if outcome.whole_mib:
            memory_rows.append(
                f"| {outcome.title} | {outcome.private_mib:.1f} | "
                f"{outcome.shared_mib:.1f} | {outcome.whole_mib:.1f} |"
            )
    return "\n".join([*reload_rows, "", *memory_rows])


def _lost(outcome: Outcome, kind: str) -> str:
    if kind not in outcome.answered:
        return "–"
    lost = sum(outcome.lost.get(kind, {}).values())
    return f"{lost:,} of {lost + outcome.answered[kind]:,}"


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    environment = Environment(options.cache, geuwsgi=options.geuwsgi)
    if not options.ready:
        environment.prepare()
    outcomes = []
    for name in options.servers or CONTESTANTS:
        contestant = CONTESTANTS[name]
        print(name, file=sys.stderr, flush=True)
        if contestant.reloads_code and options.reloads:
            outcome = reload_often(environment, contestant, options.reloads)
        else:
            outcome = Outcome(contestant.title)
        measure_memory(environment, contestant, outcome)
        outcomes.append(outcome)
        print(json.dumps(asdict(outcome)), file=sys.stderr, flush=True)
    print(table(outcomes))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reload",
        description="Count what is lost in reloads, and what memory is shared.",
    )
    add = parser.add_argument
    add("servers", nargs="*", choices=[[], *CONTESTANTS], metavar="SERVER")
    add("--reloads", type=int, default=100, help="reloads of each server (100)")
    add("--cache", type=Path, default=Path.home() / ".cache" / "geuwsgi-bench")
    add("--geuwsgi", type=Path, help="measure this command instead of the tree")
    add("--ready", action="store_true", help="leave the environment as it is")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
