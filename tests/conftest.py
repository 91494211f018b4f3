"""What every test may use, and what no test may leave behind."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import geuwsgi
from geuwsgi.config.build import stale_modules
from geuwsgi.testing.process import ServerProcess

TESTS = Path(__file__).parent
TREE = TESTS.parent
# Tests that start servers take seconds: they run on one Python (tox -e slow) …
SLOW_DIRECTORIES = ("e2e", "examples", "websocket", "faults")
SLOW_MODULES = (
    "cache/test_crashes.py",
    "master/test_daemons.py",
    "master/test_operations.py",
    "master/test_watch.py",
)
# … but for these, which show that the server works at all.
ON_EVERY_PYTHON = (
    "e2e/test_http.py",
    "e2e/test_wsgi.py",
    "e2e/test_uwsgi.py",
    "e2e/test_long_polls.py",
    "e2e/test_processes.py",
    "examples/test_chat_application.py",
    "websocket/test_api.py",
    "websocket/test_engine.py",
)

Cut = Callable[[bytes], list[bytes]]


def _whole(text: bytes) -> list[bytes]:
    return [text] if text else []


def _one_by_one(text: bytes) -> list[bytes]:
    return [text[i : i + 1] for i in range(len(text))]


def _random_pieces(text: bytes) -> list[bytes]:
    generator = random.Random(len(text))
    pieces = []
    start = 0
    while start < len(text):
        end = start + generator.choice((1, 2, 3, 5, 8, 13, 55, 377))
        pieces.append(text[start:end])
        start = end
    return pieces


@pytest.fixture(
    params=[_whole, _one_by_one, _random_pieces], ids=lambda cut: cut.__name__[1:]
)
def cut(request: pytest.FixtureRequest) -> Cut:
    """Cut bytes as a network may deliver them; the test runs once for each way."""
    chosen: Cut = request.param
    return chosen


def _children() -> set[int]:
    """The processes whose parent is this one, zombies included."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(map(int, path.read_text().split()))
        except OSError:  # the thread ended meanwhile
            continue
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _is_slow(item):
            item.add_marker(pytest.mark.slow)


def _is_slow(item: pytest.Item) -> bool:
    path = item.path.relative_to(TESTS)
    if str(path) in ON_EVERY_PYTHON:
        return False
    if path.parts[0] in SLOW_DIRECTORIES or str(path) in SLOW_MODULES:
        return True
    assert isinstance(item, pytest.Function)
    starts_servers = ServerProcess in vars(item.module).values()
    return starts_servers or "geuwsgi_server" in item.fixturenames


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Iterator[None]:
    before = _children()
    yield
    left = {
        pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        for pid in _children() - before
    }
    # multiprocessing keeps its own helper for the life of the interpreter.
    left = {pid: line for pid, line in left.items() if b"resource_tracker" not in line}
    assert not left, f"the test left child processes behind: {left}"


#: Beginnings of the reasons why a test may be skipped where everything must be tested.
_GOOD_REASONS = (
    "root reads everything",
    "only root ",
    # Built for one Python only; see pyproject.toml.
    "could not import 'gunicorn_h1c'",
    "not on this system",
    "no TOML reader",
    "this Python is not for every user",
    "syntax of Python 3.11",
    "there is a TOML reader",
    "not compared: ",
    "geuwsgi was installed without compiling",
    "this machine has no address but its own",
)


def _must_not_be_skipped(reason: object) -> bool:
    text = str(reason[2] if isinstance(reason, tuple) else reason)
    text = text.removeprefix("Skipped: ")
    return bool(os.environ.get("GEUWSGI_TEST_ALL")) and not text.startswith(
        _GOOD_REASONS
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """Where everything must be tested, a test that misses something has failed."""
    outcome = yield
    report = outcome.get_result()
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and _must_not_be_skipped(report.longrepr)
    ):
        report.outcome = "failed"


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, None]:
    """The same for a whole module."""
    outcome = yield
    report = outcome.get_result()
    if report.outcome == "skipped" and _must_not_be_skipped(report.longrepr):
        report.outcome = "failed"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was tested, if it was not what stands in the source tree."""
    if Path(geuwsgi.__file__).parent.parent != TREE:
        return
    if stale := stale_modules():
        terminalreporter.write_line(
            f"compiled before their sources were changed: {', '.join(stale)}; "
            "`python setup.py build_ext --inplace` compiles them again",
            red=True,
        )
