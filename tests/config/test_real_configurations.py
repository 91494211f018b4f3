"""The configurations of real sites, found in public, as option and value lists.

``check`` accepts each, except those that are wrong themselves. What a deployment fills
in (shell variables, templates) is filled in with a number here; files that a
configuration names exist and are empty.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.config.check import check
from geuwsgi.options import REGISTRY
from geuwsgi.options.kinds import Takes
from tests.config.world import World

SITES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("real_configurations.json").read_text("utf-8")
)
_TEMPLATE = re.compile(r"\$\{[^}]*\}|\$[A-Z_]+\b|\{\{.*?\}\}|%\([A-Z_]+\)s")
_NAMES_FILES = frozenset({"ini", "include", "for-readline"})

#: What is wrong with the sites that check refuses.
MISTAKEN = {
    "003": "userhome is no option and used nowhere",
    "007": "process instead of processes",
    "011": "SERVER-NAME is no option and used nowhere",
    "012": "gevent without a number swallows the option behind it",
    "020": "log instead of logto",
    "027": "exec-pre instead of exec-pre-app; log-buffering is no option",
    "068": "its sections were thrown together, so it includes itself",
    "147": "port is no option and used nowhere",
    "153": "vaccum instead of vacuum",
    "155": "guid instead of gid",
    "159": "process instead of processes",
    "185": "process and thread instead of processes and threads",
    "235": "app and script are XML elements without their attributes",
    "238": "vaccum instead of vacuum",
    "277": "py-callos-afterfork is no option",
    "284": "logfile instead of logto",
    "286": "num-cpus is set, but num_cpus used",
    "299": "debug is no option and used nowhere",
}


def world_of(site: dict[str, Any]) -> tuple[World, list[str]]:
    """The machine a site runs on, and its command line."""
    environ: dict[str, str] = {}
    files: dict[str, str] = {}
    argv: list[str] = []
    lines = ["[uwsgi]"]
    for name, raw in site["pairs"]:
        value = None if raw is None else _TEMPLATE.sub("4", raw)
        if value and name in _NAMES_FILES and not value.startswith(":"):
            files[value.partition(":")[0]] = "[uwsgi]\n"
        for variable in re.findall(r"\$\((\w+)\)", value or ""):
            environ[variable] = "4"
        known = REGISTRY.find(name)
        lines.append(name if value is None else f"{name} = {value}")
        if value is None:
            argv.append(f"--{name}")
        elif known is not None and known.takes is Takes.NOTHING:
            environ[f"UWSGI_{name.upper().replace('-', '_')}"] = value
        else:
            argv.append(f"--{name}={value}")
    if site["form"] != "argv":
        files["app.ini"] = "\n".join(lines) + "\n"
        argv = ["--ini", "app.ini"]
        environ = {k: v for k, v in environ.items() if f"$({k})" in files["app.ini"]}
    for word in site["positional"]:
        files.setdefault(word, "[uwsgi]\n")
        argv.append(word)
    return World(files, environ=environ), argv


@pytest.mark.parametrize("site", SITES, ids=lambda site: str(site["id"]))
def test_check_accepts_real_sites(site: dict[str, Any]) -> None:
    world, argv = world_of(site)
    report = check(argv, world.environ, host=world)
    if site["id"] in MISTAKEN:
        assert report.errors, f"nothing is wrong: {MISTAKEN[site['id']]}"
    else:
        assert report.errors == []


def test_there_are_enough_of_them() -> None:
    assert len(SITES) == 156
    assert len(MISTAKEN) < len(SITES) / 8
