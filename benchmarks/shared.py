"""What workers share, counted by the worker that uses it; beside real uWSGI.

``python -m benchmarks.shared`` prints a table for docs. A request has the worker do one
thing for a while and tell the rate of its fastest tenth, which a busy machine hardly
changes; *two* are two workers at once, and *one* the same by one for comparison, both
over the whole while. The rounds of the servers alternate.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

APPLICATIONS = Path(__file__).parent / "applications"
OPERATIONS = {
    "get": "`cache_get`, 200 bytes",
    "update": "`cache_update`, 200 bytes",
    "lock": "`lock` and `unlock`",
    "queue": "`queue_push` and `queue_pop`, 200 bytes",
    "metric": "`metric_inc`",
}
_PORT = 18970


def _options(directory: Path, port: int) -> list[str]:
    return [
        "--master",
        *("--processes", "2", "--gevent", "4"),
        *("--http-socket", f"127.0.0.1:{port}"),
        *("--wsgi-file", str(APPLICATIONS / "shared_state.py")),
        *("--cache2", "name=bench,items=5000,blocksize=1024"),
        *("--queue", "1000", "--metric", "counted", "--locks", "1"),
        *("--spooler", str(directory / "tasks"), "--spooler-quiet"),
        "--disable-logging",
    ]


@contextmanager
def _server(command: list[str], port: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="geuwsgi-bench-") as name:
        directory = Path(name)
        (directory / "tasks").mkdir()
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, *_options(directory, port)], stdout=log, stderr=log
            )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def _ask(base: str, path: str) -> tuple[int, float]:
    with urllib.request.urlopen(f"{base}/{path}", timeout=120) as answer:
        worker, figure = answer.read().split()
    return int(worker), float(figure)


def _wait(base: str) -> None:
    ends = time.monotonic() + 30
    while True:
        try:
            _ask(base, "ready")
            return
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)


def _two(base: str, path: str) -> float | None:
    """The sum of two workers at once; None if one worker took both requests."""
    for _ in range(10):
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda _: _ask(base, path), range(2)))
        if found[0][0] != found[1][0]:
            return sum(figure for _, figure in found)
    return None


def _measure(base: str, seconds: float, tasks: int) -> dict[str, float | None]:
    _wait(base)
    figures: dict[str, float | None] = {}
    for name in OPERATIONS:
        figures[name] = _ask(base, f"{name}?seconds={seconds}")[1]
    for name in ("get", "update"):
        path = f"{name}?seconds={seconds}&whole=1"
        figures[f"{name}, one"] = _ask(base, path)[1]
        figures[f"{name}, two"] = _two(base, path)
    figures["spool"] = _ask(base, f"spool?count={tasks}")[1]
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shared")
    add = parser.add_argument
    add("--server", action="append", metavar="NAME=COMMAND", default=[])
    add("--rounds", type=int, default=3)
    add("--seconds", type=float, default=1.0)
    add("--tasks", type=int, default=4000)
    arguments = parser.parse_args()
    beside = str(Path(sys.executable).with_name("geuwsgi"))
    uwsgi = os.environ.get("GEUWSGI_REFERENCE_UWSGI", "uwsgi")
    servers = dict(
        text.split("=", 1)
        for text in arguments.server or [f"geuwsgi={beside}", f"uWSGI={uwsgi}"]
    )
    samples: dict[str, list[dict[str, float | None]]] = {name: [] for name in servers}
    port = _PORT
    for _ in range(arguments.rounds):
        for name, command in servers.items():
            port += 1
            with _server(command.split(), port) as base:
                samples[name].append(_measure(base, arguments.seconds, arguments.tasks))
    titles = dict(OPERATIONS)
    for name in ("get", "update"):
        titles[f"{name}, one"] = f"{OPERATIONS[name]}, one worker, whole second"
        titles[f"{name}, two"] = f"{OPERATIONS[name]}, two workers, whole second"
    titles |= {
        "spool": "spooler, tasks written and done",
    }
    print("| a second | " + " | ".join(servers) + " |")
    print("|---|" + "---:|" * len(servers))
    for key, title in titles.items():
        cells = []
        for name in servers:
            found = [f for one in samples[name] if (f := one[key]) is not None]
            cells.append(f"{median(found):,.0f}" if found else "–")
        print(f"| {title} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
