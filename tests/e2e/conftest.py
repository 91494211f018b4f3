"""Real servers for the end-to-end tests: geuwsgi, uWSGI, nginx and Apache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from geuwsgi.testing.fixtures import geuwsgi_server
from geuwsgi.testing.process import ServerProcess

__all__ = ["geuwsgi_server"]

APPS = Path(__file__).parent / "apps"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


def missing(what: str) -> None:
    """Skip the test; where everything must be tested, fail it."""
    if os.environ.get("GEUWSGI_TEST_ALL"):
        pytest.fail(f"{what} is missing and GEUWSGI_TEST_ALL is set")
    pytest.skip(f"{what} is missing")


def find_program(name: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None:
        missing(name)
    assert path is not None
    return path


@pytest.fixture(scope="session")
def reference_uwsgi() -> str:
    """The command of a real uWSGI with gevent, to compare with."""
    path = os.environ.get("GEUWSGI_REFERENCE_UWSGI")
    if not path:
        missing("GEUWSGI_REFERENCE_UWSGI, the path of a real uwsgi,")
    assert path is not None
    return path


@pytest.fixture
def site_directory(tmp_path: Path) -> Path:
    """A directory with the test applications, for a server to run in."""
    return Path(shutil.copytree(APPS, tmp_path / "site"))


@pytest.fixture(scope="module")
def module_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(APPS, tmp_path_factory.mktemp("server") / "site"))


StartProgram = Callable[[list[str], Path], ServerProcess]


@pytest.fixture(scope="module")
def start_program() -> Iterator[StartProgram]:
    """Start a program (nginx, Apache, a server) that lives as long as the module."""
    running: list[ServerProcess] = []

    def start(command: list[str], directory: Path) -> ServerProcess:
        process = ServerProcess((), directory=directory, command=command)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
