"""The command: `python -m benchmarks [KIND …]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .environment import TREE, Environment
from .kinds import KINDS, QUICK, Kind
from .report import table, to_json, write_pages
from .runner import Plan, raise_descriptor_limit, run_kind
from .servers import GEUWSGI_PURE, SERVERS


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    if options.list:
        for kind in KINDS:
            print(f"{kind.name:20}{kind.title}")
        return 0
    environment = Environment(options.cache, geuwsgi=options.geuwsgi)
    named = [
        server
        for server in SERVERS
        if (server.name in options.servers if options.servers else not server.on_demand)
    ]
    environment.prepare(compiled=not options.pure, both=GEUWSGI_PURE in named)
    servers = [
        server for server in named if not server.needs or environment.has(server.needs)
    ]
    plan = Plan(
        environment,
        rounds=options.rounds,
        seconds=options.seconds,
        server_core=options.server_core,
        load_core=options.load_core,
    )
    results = []
    for kind in _kinds(options.kinds):
        if (limit := raise_descriptor_limit(120_000)) < kind.load.connections + 500:
            print(f"{kind.name} needs more than the {limit} open files allowed here")
            continue
        results.append(run_kind(plan, kind, servers, _say))
        print(f"\n## {kind.title}\n\n{table(results[-1])}", flush=True)
    command = " ".join(["python -m benchmarks", *(argv or sys.argv[1:])])
    versions = environment.versions()
    (options.json or options.cache / "latest.json").write_text(
        to_json(results, versions, command)
    )
    if options.docs:
        folder = TREE / "benchmarks" / "comments"
        comments = {path.stem: path.read_text() for path in folder.glob("*.md")}
        write_pages(
            results,
            docs=options.docs,
            versions=versions,
            command=command,
            comments=comments,
        )
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _kinds(names: list[str]) -> list[Kind]:
    by_name = {kind.name: kind for kind in KINDS}
    if names == ["all"]:
        return list(KINDS)
    if unknown := [name for name in names if name not in by_name]:
        raise SystemExit(f"unknown kind: {unknown[0]}; --list shows them")
    return [by_name[name] for name in names or QUICK]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure geuwsgi and its peers in one run.",
    )
    add = parser.add_argument
    add("kinds", nargs="*", help=f"kinds, or all; without: {' '.join(QUICK)}")
    add("--list", action="store_true", help="show the kinds and end")
    add("--servers", nargs="+", help="only these servers", metavar="NAME")
    add("--rounds", type=int, default=5, help="turns of each server (5)")
    add("--seconds", type=float, default=3.0, help="load in each turn (3)")
    add("--server-core", default="1", help="core of the servers (1)")
    add("--load-core", default="0", help="core of the load (0)")
    add("--cache", type=Path, default=Path.home() / ".cache" / "geuwsgi-bench")
    add("--geuwsgi", type=Path, help="measure this command instead of the tree")
    add("--pure", action="store_true", help="install geuwsgi without compiled modules")
    add("--json", type=Path, help="where the samples go (latest.json in the cache)")
    add("--docs", type=Path, help="write benchmarks.md and its plots there")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
