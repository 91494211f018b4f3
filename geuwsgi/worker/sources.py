"""Which files a process was loaded from, for py-autoreload.

Modules that were imported are in ``sys.modules``; one that failed is not, but it was
opened. So opened sources are noted as well, by an audit hook, while this is asked for:
it costs a little at every audited event, which a development server can bear.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Collection
from typing import Any

_STDLIB = os.path.dirname(os.__file__) + os.sep
_THIS_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_SITE_PACKAGES = ("site-packages", "dist-packages")


class Sources:
    """Notes sources from the moment it is made. ``ignored`` are module names."""

    def __init__(self, ignored: Collection[str] = ()) -> None:
        self._ignored = frozenset(ignored)
        self._opened: set[str] = set()
        self._told: set[str] = set()
        self._modules_seen = 0
        sys.addaudithook(self._note)

    def news(self) -> dict[str, int]:
        """The sources found since the last call, and when each was modified."""
        found = {_source_of(path) for path in list(self._opened)}
        self._opened.clear()
        if len(sys.modules) != self._modules_seen:
            self._modules_seen = len(sys.modules)
            for name, module in list(sys.modules.items()):
                path = getattr(module, "__file__", None)
                if isinstance(path, str) and name not in self._ignored:
                    found.add(path)
            for name in self._ignored:
                path = getattr(sys.modules.get(name), "__file__", None)
                found.discard(path or "")
        new = {os.path.abspath(path) for path in found if path} - self._told
        self._told |= new
        files: dict[str, int] = {}
        for path in filter(_is_watched, new):
            with contextlib.suppress(OSError):
                files[path] = os.stat(path).st_mtime_ns
        return files

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path = arguments[0]
            if isinstance(path, str) and path.endswith((".py", ".pyc", ".wsgi")):
                self._opened.add(path)


def _source_of(path: str) -> str:
    if path.endswith(".pyc"):
        with contextlib.suppress(ValueError):
            return importlib.util.source_from_cache(path)
        return ""
    return path


def _is_watched(path: str) -> bool:
    if path.startswith(_THIS_PACKAGE):
        return False
    if path.startswith(_STDLIB):
        return any(part in path for part in _SITE_PACKAGES)
    return True
