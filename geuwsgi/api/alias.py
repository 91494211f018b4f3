"""``import uwsgidecorators`` finds :mod:`geuwsgi.decorators`."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
from collections.abc import Sequence
from types import ModuleType

NAME = "uwsgidecorators"


class DecoratorsFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the one module, under its other name."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != NAME:
            return None
        return importlib.machinery.ModuleSpec(NAME, self, origin="geuwsgi")

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return importlib.import_module("geuwsgi.decorators")

    def exec_module(self, module: ModuleType) -> None:
        """It was executed under its own name."""
