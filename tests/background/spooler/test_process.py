from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import pytest

from geuwsgi.background.spooler.files import TaskWriter, scan
from geuwsgi.background.spooler.process import (
    Spooler,
    SpoolerOptions,
    TaskDictionary,
)
from tests.background.eventually import eventually


class Case:
    """A directory, a spooler on it, and what the application was given."""

    def __init__(self, directory: Path) -> None:
        self.options = SpoolerOptions(str(directory), frequency_s=30.0, quiet=True)
        self.given: list[dict[Any, bytes]] = []
        self.result: Callable[[dict[Any, bytes]], Any] = lambda task: -2
        self.frequency_s = 0.0
        self.retired: list[str] = []
        self.spoolers: list[Spooler] = []
        self._writer = TaskWriter("host")

    def write(self, **options: Any) -> str:
        fields = options.pop("fields", {b"a": b"b"})
        return self._writer.write(self.options.directory, fields, **options)

    def start(self, **options: Any) -> Spooler:
        spooler = Spooler(
            replace(self.options, **options),
            before=lambda: None,
            find_callback=lambda: self._call,
            find_frequency=lambda: self.frequency_s,
            retire=self.retired.append,
        )
        self.spoolers.append(spooler)
        spooler.start()
        return spooler

    def _call(self, task: dict[Any, bytes]) -> Any:
        self.given.append(task)
        return self.result(task)

    def wait_for(self, count: int) -> None:
        eventually(lambda: len(self.given) >= count)

    def left(self) -> list[str]:
        return list(scan(self.options.directory))


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    before = Path.cwd()
    case = Case(tmp_path)
    yield case
    for spooler in case.spoolers:
        spooler.drain(reason="stop", deadline_s=0.1)
    os.chdir(before)


def test_a_task_is_given_to_the_application_and_removed(case: Case) -> None:
    path = case.write(body=b"text")
    case.start()
    case.wait_for(1)
    eventually(lambda: not case.left())
    assert case.given[0] == {
        b"a": b"b",
        "spooler_task_name": os.path.basename(path).encode(),
        "body": b"text",
    }
    assert case.left() == []
    assert Path.cwd() == Path(case.options.directory)


def test_a_new_task_is_seen_at_once(case: Case) -> None:
    case.start()
    gevent.sleep(0.01)
    case.write()
    case.wait_for(1)
    case.write(priority="5")
    case.wait_for(2)
    case.write(priority="5")
    case.wait_for(3)


@pytest.mark.parametrize("result", [-1, 7, None, "x", True])
def test_a_task_that_is_not_done_stays_and_is_tried_later(
    case: Case, result: Any
) -> None:
    path = case.write()
    case.result = lambda task: result
    case.start()
    case.wait_for(1)
    case.write()
    case.wait_for(2)
    gevent.sleep(0.02)
    assert len(case.given) == 2  # the first one was not tried again with the second
    assert path in case.left()


def test_a_failed_task_is_tried_again_after_the_frequency(case: Case) -> None:
    case.write()

    def fail(task: dict[Any, bytes]) -> int:
        if len(case.given) < 3:
            raise OSError("not today")
        return -2

    case.result = fail
    case.frequency_s = 0.05
    case.start()
    case.wait_for(3)
    eventually(lambda: not case.left())


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), gevent.GreenletExit(), gevent.Timeout(1)],
)
def test_a_task_that_exits_fails_and_ends_nothing(
    case: Case, error: BaseException
) -> None:
    def fail(task: dict[Any, bytes]) -> Any:
        if task[b"a"] == b"bad":
            raise error
        return -2

    case.result = fail
    case.write(fields={b"a": b"bad"})
    case.start()
    case.wait_for(1)
    case.write()
    case.wait_for(2)
    eventually(lambda: len(case.left()) == 1)
    assert len(case.given) == 2


def test_an_ignored_task_is_left_to_others(case: Case) -> None:
    path = case.write()
    case.result = lambda task: 0
    spooler = case.start(frequency_s=0.05)
    case.wait_for(1)
    spooler.wake()
    gevent.sleep(0.1)
    assert len(case.given) == 1
    assert case.left() == [path]


def test_garbage_is_left_and_told(
    case: Case, capfd: pytest.CaptureFixture[str]
) -> None:
    garbage = Path(case.options.directory) / "uwsgi_spoolfile_on_host_1"
    garbage.write_bytes(b"\x11\xff\xff\0garbage")
    case.write()
    case.start()
    case.wait_for(1)
    eventually(lambda: case.left() == [str(garbage)])
    told = capfd.readouterr().err
    assert f"{garbage} is no task" in told
    assert told.count("is no task") == 1


def test_a_task_waits_for_its_time(case: Case) -> None:
    now = os.stat(case.options.directory).st_mtime
    case.write(at=now + 0.3)
    case.start(frequency_s=60.0)
    case.wait_for(1)
    assert time.time() >= now + 0.3


def test_draining_finishes_the_task_and_begins_no_other(case: Case) -> None:
    first = case.write(priority="1")
    second = case.write(priority="2")

    def slow(task: dict[Any, bytes]) -> int:
        gevent.sleep(0.02)
        return -2

    case.result = slow
    spooler = case.start()
    case.wait_for(1)
    assert spooler.drain(reason="reload", deadline_s=20.0)
    assert len(case.given) == 1
    assert first not in case.left() and second in case.left()


def test_a_task_that_is_cut_stays(case: Case) -> None:
    path = case.write()
    case.result = lambda task: gevent.sleep(30)
    spooler = case.start()
    case.wait_for(1)
    assert not spooler.drain(reason="stop", deadline_s=0.01)
    assert case.left() == [path]


def test_a_spooler_retires_after_its_tasks(case: Case) -> None:
    for _ in range(3):
        case.write()
    case.start(max_tasks=2)
    eventually(lambda: case.retired == ["spooler-max-tasks: 2 tasks"])
    assert len(case.given) == 2 and len(case.left()) == 1


def test_without_a_function_tasks_wait(
    case: Case, capfd: pytest.CaptureFixture[str]
) -> None:
    path = case.write()
    spooler = Spooler(
        case.options,
        before=lambda: None,
        find_callback=lambda: None,
        find_frequency=lambda: 0.0,
        retire=case.retired.append,
    )
    spooler.start()
    told = ""

    def is_told() -> bool:
        nonlocal told
        told += capfd.readouterr().err
        return "waits: there is no spooler function" in told

    eventually(is_told)
    assert case.left() == [path]
    spooler.drain(reason="stop", deadline_s=1)


def test_several_processes_do_each_task_once(case: Case, tmp_path: Path) -> None:
    directory = Path(case.options.directory)
    results = tmp_path.parent / f"{tmp_path.name}-results"
    for number in range(200):
        case.write(fields={b"n": b"%d" % number})
    case.result = lambda task: os.write(fd, task[b"n"] + b"\n") and -2
    fd = os.open(results, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    children = []
    for _ in range(3):
        pid = os.fork()
        if not pid:
            gevent.get_hub().destroy(destroy_loop=True)
            case.start()
            while case.left():
                gevent.sleep(0.005)
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert sorted(map(int, results.read_text().split())) == list(range(200))
    assert list(directory.iterdir()) == []


def test_a_spooler_killed_in_a_task_loses_no_task(case: Case) -> None:
    path = case.write()
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        gevent.get_hub().destroy(destroy_loop=True)

        def hang(task: dict[Any, bytes]) -> None:
            os.write(write, b"x")
            signal.pause()

        case.result = hang
        case.start()
        gevent.sleep(30)
    os.read(read, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert case.left() == [path]
    case.start()
    eventually(lambda: not case.left())


def test_harakiri_ends_the_process_and_keeps_the_task(case: Case) -> None:
    path = case.write()
    pid = os.fork()
    if not pid:
        gevent.get_hub().destroy(destroy_loop=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        case.result = lambda task: signal.pause()
        case.start(harakiri_s=0.05)
        gevent.sleep(30)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert case.left() == [path]


def test_a_task_dictionary_is_found_by_bytes_and_str() -> None:
    task = TaskDictionary({b"a": b"1", "body": b"2"})
    assert task["a"] == task[b"a"] == b"1"
    assert task[b"body"] == task["body"] == task.get(b"body") == b"2"
    assert "a" in task and b"body" in task and "x" not in task and 5 not in task
    assert task.get("x") is None and task.get("x", b"d") == b"d"
    assert list(task) == [b"a", "body"]
    with pytest.raises(KeyError):
        task["x"]
