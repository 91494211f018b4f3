"""Make this interpreter look to the application as uWSGI's does.

Called once by the process that loads applications, after monkey-patching and before the
first import of user code.
"""

from __future__ import annotations

import glob
import os
import site
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path

from geuwsgi.errors import StartupError
from geuwsgi.options.python import Python


def prepare_interpreter(python: Python, report: Callable[[str], None]) -> None:
    """Set search path, virtual environment, ``sys.argv`` and ``__main__``.

    Afterwards ``sys.path`` begins with the pythonpath entries, the last one first, and
    ``.``, the working directory. Raises StartupError if the virtual environment cannot
    be used. Lines for the log go to ``report``.
    """
    if python.home:
        activate_home(python.home, report)
    if not sys.path or sys.path[0] != ".":
        sys.path.insert(0, ".")
    # Python remembers which directory "." was when it first looked.
    sys.path_importer_cache.pop(".", None)
    for entry in expand_pythonpath(python.pythonpath):
        sys.path.insert(0, entry)
        report(f"added {entry} to pythonpath.")
    # Agents recognise the server by this name.
    sys.argv = ["uwsgi", *(python.pyargv or "").split()]
    if python.py_sys_executable:
        sys.executable = python.py_sys_executable
    # What the server was started as is none of the application's business.
    sys.modules["__main__"] = types.ModuleType("__main__")


def expand_pythonpath(entries: Sequence[str]) -> list[str]:
    """Expand globs; an entry that matches nothing is kept as it is written."""
    return [path for entry in entries for path in sorted(glob.glob(entry)) or [entry]]


def activate_home(home: str, report: Callable[[str], None]) -> None:
    """Have imports find the packages of the virtual environment ``home`` first.

    geuwsgi's own packages stay reachable behind them. Raises StartupError if there is no
    environment of this Python version.
    """
    path = Path(home).expanduser().absolute()
    if not path.is_dir():
        raise StartupError(f"the virtualenv {home} is not a directory")
    if path.resolve() == Path(sys.prefix).resolve():
        report(f"virtualenv {home} is the one geuwsgi runs in")
        os.environ["VIRTUAL_ENV"] = str(path)
        return
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = [
        str(path / lib / version / "site-packages")
        for lib in ("lib", "lib64")
        if (path / lib / version / "site-packages").is_dir()
    ]
    if not packages:
        found = ", ".join(sorted(one.name for one in path.glob("lib/python*")))
        has = f"it has {found}" if found else "it has no lib/python*/site-packages"
        raise StartupError(
            f"the virtualenv {home} is not for {version}, on which geuwsgi runs: {has}"
        )
    if (path / "pyvenv.cfg").is_file():
        report(f"PEP 405 virtualenv detected: {path}")
    before = list(sys.path)
    for directory in dict.fromkeys(packages):
        site.addsitedir(directory)
    # addsitedir appends, and more than one entry where .pth files say so.
    added = [entry for entry in sys.path if entry not in before]
    standard = [entry for entry in before if not _is_site_packages(entry)]
    others = [entry for entry in before if _is_site_packages(entry)]
    sys.path[:] = [*standard, *added, *others]
    sys.prefix = sys.exec_prefix = str(path)
    os.environ["VIRTUAL_ENV"] = str(path)
    report(f"Set PythonHome to {path}")


def _is_site_packages(entry: str) -> bool:
    return os.path.basename(entry) in {"site-packages", "dist-packages"}
