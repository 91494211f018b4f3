"""The examples as a person has them: a copy of the directory, ports of its own."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from geuwsgi.testing.fixtures import geuwsgi_server

__all__ = ["geuwsgi_server"]

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], Path]:
    """Copy the example of that name into the test's directory."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(EXAMPLES / name, tmp_path / name))

    return copy


@pytest.fixture
def example_module() -> Callable[[str], ModuleType]:
    """Import an example's module by its path below ``examples``."""

    def load(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(
            Path(path).stem + "_example", EXAMPLES / path
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # dataclasses look their module up here.
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load
