"""What the manual says to type about the things workers share: it works."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from geuwsgi.config import load
from tests.api.conftest import MakeModule

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["background", "cache", "channels", "metrics", "shared", "spooler"]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / f"{page}.md").read_text()
    return [body for found, body in _BLOCK.findall(text) if found == language]


@pytest.mark.parametrize("page", PAGES)
def test_the_configurations_are_understood(page: str, tmp_path: Path) -> None:
    for number, text in enumerate(blocks(page, "ini")):
        file = tmp_path / f"{number}.ini"
        file.write_text(f"[uwsgi]\n{text}")
        configuration = load([str(file)], {})
        assert [str(note) for note in configuration.notes] == []


#: What makes the first configuration of a page one that a test can have.
_OPTIONS = {
    "background": ["--mules=2", "--farm=both:1,2"],
    "shared": ["--locks=2", "--queue=100", "--sharedarea=pages=1"],
    "metrics": ["--metric=name=orders", "--metric=name=orders_open,type=gauge"],
    "cache": [f"--cache2={blocks('cache', 'ini')[0].split()[2]}"],
}


@pytest.mark.parametrize("page", PAGES)
def test_the_programs_run(page: str, tmp_path: Path, make_module: MakeModule) -> None:
    options = _OPTIONS.get(page, [f"--spooler={tmp_path}"])
    module, _ = make_module(*options)
    for number, text in enumerate(blocks(page, "python")):
        program = ModuleType(f"page_{page}_{number}")
        sys.modules[program.__name__] = program
        try:
            exec(compile(text, f"{page}.md", "exec"), vars(program))
        finally:
            del sys.modules[program.__name__]
    assert module is sys.modules["uwsgi"]
