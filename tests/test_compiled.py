"""The compiled modules know what their sources say, and both are what is tested."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import geuwsgi
from geuwsgi.config.build import compiled_modules, describe_build

TREE = Path(__file__).parents[1]
# Those beside a .pyx are for other modules that are compiled, too.
DECLARED = sorted(
    path
    for path in (TREE / "geuwsgi").rglob("*.pxd")
    if path.with_suffix(".py").exists()
)
MODULES = {".".join(path.relative_to(TREE).with_suffix("").parts) for path in DECLARED}
WEBSOCKET = {name for name in MODULES if ".websocket" in name}
PATH = MODULES - WEBSOCKET - {"geuwsgi.protocol.uwsgi"}


#: Those of which the same is written twice, in Python and in C.
TWICE = [path for path in DECLARED if path.with_suffix(".pyx").exists()]


def _sources() -> dict[str, dict[str, tuple[set[str], set[str]]]]:
    """The slots and the methods of each class, by module."""
    found: dict[str, dict[str, tuple[set[str], set[str]]]] = {}
    for path in DECLARED:
        classes = found[str(path.relative_to(TREE))] = {}
        for node in ast.parse(path.with_suffix(".py").read_text()).body:
            if isinstance(node, ast.ClassDef):
                classes[node.name] = _slots(node), _methods(node)
    return found


def _slots(node: ast.ClassDef) -> set[str]:
    for statement in node.body:
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and statement.targets[0].id == "__slots__"
        ):
            return set(ast.literal_eval(statement.value))
    return set()


def _methods(node: ast.ClassDef) -> set[str]:
    return {part.name for part in node.body if isinstance(part, ast.FunctionDef)}


def _declarations(path: Path) -> dict[str, tuple[set[str], set[str]]]:
    """What a .pxd says of classes: attributes and methods."""
    text = re.sub(r"@cython\.locals\([^)]*\)|#.*", "", path.read_text())
    classes: dict[str, tuple[set[str], set[str]]] = {}
    current: tuple[set[str], set[str]] | None = None
    for line in text.splitlines():
        if begun := re.match(r"cdef class (\w+)", line):
            current = classes[begun[1]] = set(), set()
        elif not line.startswith(" "):
            current = None if line.strip() else current
        elif current is None:
            continue
        elif method := re.match(r"\s+(?:cpdef|cdef)\b.*?(\w+)\(", line):
            current[1].add(method[1])
        elif names := re.match(
            r"\s+cdef (?:public |readonly )?(?:long )*\w+ (.*)", line
        ):
            current[0].update(name.strip() for name in names[1].split(","))
    return classes


@pytest.mark.parametrize("path", TWICE, ids=lambda path: path.stem)
def test_a_class_written_in_c_has_the_methods_of_the_one_in_python(path: Path) -> None:
    declared = _declarations(path)
    for name, (_, defined) in _sources()[str(path.relative_to(TREE))].items():
        assert defined - {"__init__"} <= declared[name][1], f"{path.name}: {name}"


@pytest.mark.parametrize(
    "path",
    [path for path in DECLARED if path not in TWICE],
    ids=lambda path: path.stem,
)
def test_a_compiled_class_has_the_attributes_of_its_source(path: Path) -> None:
    # Otherwise the module would stay interpreted, and with it the way of a request.
    sources = _sources()[str(path.relative_to(TREE))]
    for name, (attributes, methods) in _declarations(path).items():
        slots, defined = sources[name]
        assert attributes == slots, f"{path.name}: {name}"
        assert methods <= defined, f"{path.name}: {name}"


def test_the_version_says_what_is_compiled() -> None:
    first, second, rest = describe_build().split("\n")
    assert first == geuwsgi.__version__
    assert rest == ""
    compiled = compiled_modules()
    if compiled:
        assert second.split()[0] == "compiled:"
        assert len(second.split()) == 1 + len(compiled)
    else:
        assert second == "pure Python"


def test_what_is_said_to_be_compiled_is_what_is_imported(tmp_path: Path) -> None:
    names = sorted(compiled_modules())
    script = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: print(importlib.import_module(name).__file__)"
    )
    lines = subprocess.run(
        [sys.executable, "-c", script, *names, "geuwsgi.server.exchange"],
        # Not where the source tree would be found first.
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    assert all(line.endswith(EXTENSION_SUFFIXES[0]) for line in lines[: len(names)])


@pytest.mark.parametrize("group", [PATH, WEBSOCKET])
def test_modules_that_know_each_other_are_compiled_together(group: set[str]) -> None:
    assert group & set(compiled_modules()) in (set(), group)
