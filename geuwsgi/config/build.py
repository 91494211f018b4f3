"""Which modules of this installation are compiled.

A compiled module stands beside the source it was made from, which is taken where the
compiled one is missing.
"""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import geuwsgi


def compiled_modules() -> dict[str, Path]:
    """Return the files of the compiled modules for this Python, by module."""
    package = Path(geuwsgi.__file__).parent
    found: dict[str, Path] = {}
    for path in sorted(package.rglob("*" + EXTENSION_SUFFIXES[0])):
        inner = path.relative_to(package.parent).with_name(path.name.partition(".")[0])
        found[".".join(inner.parts)] = path
    return found


def describe_build() -> str:
    """Return the lines of ``--version``: the second says what is compiled."""
    compiled = [name.partition(".")[2] for name in compiled_modules()]
    what = f"compiled: {' '.join(compiled)}" if compiled else "pure Python"
    return f"{geuwsgi.__version__}\n{what}\n"


def stale_modules() -> list[str]:
    """Return compiled modules that are older than their sources.

    Of use in a source tree only: an installation does not keep the files' times.
    """
    stale = []
    for name, path in compiled_modules().items():
        source = path.with_name(path.name.partition(".")[0])
        made = path.stat().st_mtime
        if any(
            made < beside.stat().st_mtime
            for suffix in (".py", ".pyx", ".pxd")
            if (beside := source.with_suffix(suffix)).exists()
        ):
            stale.append(name)
    return stale
