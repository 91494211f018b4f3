"""Results as a table on a terminal, as JSON, as a page with plots."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .kinds import HeldSockets, Kind, LongPolls, SharedCores, Start, Transfers
from .plot import bars, format_figure
from .runner import Result
from .servers import GEUWSGI, SERVERS

_TITLES = {server.name: server.title for server in SERVERS}
_NEEDS = {server.name: server.needs for server in SERVERS}

_COLUMNS = (
    ("rate", "{unit}"),
    ("cpu_us", "CPU µs each"),
    ("p50_us", "p50 µs"),
    ("p99_us", "p99 µs"),
    ("pss_kib", "memory KiB"),
)
_LONG_POLL_COLUMNS = (
    ("rate", "{unit}"),
    ("cpu_us", "CPU µs each woken"),
    ("wake_seconds", "all woken, s"),
    ("hold_seconds", "all held, s"),
    ("kib_more_each", "KiB each"),
    ("kib_each", "KiB each, whole server"),
)
_HELD_COLUMNS = (
    ("rate", "{unit}"),
    ("kib_more_each", "KiB each"),
    ("kib_each", "KiB each, whole server"),
    ("pings", "pings answered"),
    ("core_percent", "% of the core while idle"),
)
_START_COLUMNS = (
    ("start_s", "seconds to the first answer"),
    ("pss_kib", "memory KiB"),
    ("kib_a_worker", "KiB a worker"),
)
_SHARED_COLUMNS = (
    ("rate", "{unit}"),
    ("cpu_us", "CPU µs each"),
    ("cpu_us_alone", "of one worker on one core"),
    ("of_one", "how many times that"),
    ("pss_kib", "memory KiB"),
)
_TRANSFER_COLUMNS = (
    ("rate", "{unit}"),
    ("cpu_us", "CPU µs a MB"),
    ("peak_kib", "most memory, KiB"),
)
_COLUMNS_OF = {
    LongPolls: _LONG_POLL_COLUMNS,
    HeldSockets: _HELD_COLUMNS,
    SharedCores: _SHARED_COLUMNS,
    Start: _START_COLUMNS,
    Transfers: _TRANSFER_COLUMNS,
}


def table(result: Result) -> str:
    """The kind's table in Markdown, fastest server first."""
    kind = result.kind
    columns = _COLUMNS_OF.get(type(kind.load), _COLUMNS)
    names = sorted(result.samples, key=lambda name: -(result.figure(name, "rate") or 0))
    lines = [
        "| server | "
        + " | ".join(title.format(unit=kind.unit) for _, title in columns)
        + " | geuwsgi is | errors |",
        "|---|" + "---:|" * (len(columns) + 2),
    ]
    for name in names:
        cells = [_cell(result.figure(name, figure)) for figure, _ in columns]
        ratio = result.ratio(GEUWSGI.name, name)
        cells.append(f"{ratio:.2f} ×" if ratio and name != GEUWSGI.name else "")
        cells.append(f"{result.figure(name, 'errors') or 0:.0f}")
        lines.append(f"| {_TITLES[name]} | " + " | ".join(cells) + " |")
    for name, reason in result.failures.items():
        last = reason.strip().splitlines()[-1] if reason.strip() else "no reason given"
        lines.append(f"\n{_TITLES[name]} was not measured: {last[-200:]}")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "" if value is None else format_figure(value)


def to_json(
    results: Sequence[Result], versions: Mapping[str, str], command: str
) -> str:
    """Every sample of the run and where it was taken."""
    return json.dumps(
        {
            "date": datetime.date.today().isoformat(),
            "command": command,
            "python": python(),
            "machine": machine(),
            "versions": {
                name: versions[name]
                for name in sorted({"geuwsgi", "greenlet", *_NEEDS.values()} - {""})
                if name in versions
            },
            "kinds": {
                result.kind.name: {
                    "title": result.kind.title,
                    "samples": result.samples,
                    "failures": result.failures,
                }
                for result in results
            },
        },
        indent=1,
    )


def write_pages(
    results: Sequence[Result],
    *,
    docs: Path,
    versions: Mapping[str, str],
    command: str,
    comments: Mapping[str, str],
) -> None:
    """Writes docs/benchmarks.md and its plots; `comments` are shown below a table."""
    plots = docs / "benchmarks"
    plots.mkdir(parents=True, exist_ok=True)
    used = ", ".join(
        f"{name} {versions[name]}"
        for name in sorted({"geuwsgi", *_NEEDS.values()} - {""})
        if name in versions
    )
    page = [
        "# Benchmarks",
        "",
        _INTRODUCTION.format(
            date=datetime.date.today().isoformat(),
            command=command,
            machine=machine(),
            python=python(),
            versions=used,
        ),
    ]
    for result in results:
        kind = result.kind
        page += [f"## {kind.title[0].upper()}{kind.title[1:]}", ""]
        for figure, unit in _plots(kind):
            rows = [
                (_TITLES[name], value)
                for name in result.samples
                if (value := result.figure(name, figure)) is not None
            ]
            file = f"{kind.name}{'' if figure == 'rate' else '-' + figure}.svg"
            (plots / file).write_text(bars(kind.title, unit, rows, GEUWSGI.title))
            page += [f"![{kind.title}, {unit}](benchmarks/{file})", ""]
        page += [table(result), ""]
        if comment := comments.get(kind.name):
            page += [comment.strip(), ""]
    (docs / "benchmarks.md").write_text("\n".join(page))


def _plots(kind: Kind) -> tuple[tuple[str, str], ...]:
    if isinstance(kind.load, LongPolls):
        return ("rate", kind.unit), (
            "kib_more_each",
            "KiB a connection, less is better",
        )
    if isinstance(kind.load, Start):
        return (
            ("start_s", "seconds, less is better"),
            ("kib_a_worker", "KiB a worker, less is better"),
        )
    if isinstance(kind.load, SharedCores):
        return (("cpu_us", "CPU µs a request, less is better"),)
    if kind.name == "latency":
        return (("p99_us", "99th percentile in µs, less is better"),)
    return (("rate", kind.unit),)


_INTRODUCTION = """\
Measured on {date} with `{command}` on {machine}, Python {python}: {versions}.

Every server has one worker on one core; the load comes from the other core. Servers
take turns, and figures are medians over the rounds. *geuwsgi is* gives the median of the
rounds' ratios, so what disturbs the machine for a while disturbs both. *CPU µs each* is
the processor time of all the server's processes for one request. Request logging is off
everywhere, keep-alive is on, all else is as each server comes. geuwsgi and uWSGI run
with the same options; uWSGI's `--http` has its router on the same core. *KiB each* is
proportional memory (PSS) of all the server's processes, for a long poll the growth by
10,000 of them.

Your machine will give other numbers; the same command there gives the ratios.
"""


def python() -> str:
    """The interpreter's version, and whose it is.

    Distributions build theirs with profile-guided optimisation, pyenv by itself does
    not, and everything that runs in the interpreter shows it.
    """
    version = platform.python_version()
    return f"{version} of the distribution" if sys.base_prefix == "/usr" else version


def machine() -> str:
    """The processor's name and count, and the kernel."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
