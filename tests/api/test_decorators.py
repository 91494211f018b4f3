# The module under test is imported while the test runs, so its types are not known.
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import importlib.util
import pickle
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from geuwsgi.api import ApiContext
from geuwsgi.api.alias import DecoratorsFinder
from geuwsgi.shared.signaltable import Cron, Timer, WatchedFile
from tests.api.conftest import MakeModule


class Case:
    def __init__(self, module: ModuleType, context: ApiContext) -> None:
        self.uwsgi = module
        self.context = context
        self.decorators: Any = importlib.import_module("geuwsgi.decorators")
        self.done: list[Any] = []

    def run_tasks(self) -> list[int]:
        """Work on the tasks that wait, as a spooler does; return what became of them."""
        return [
            self.uwsgi.spooler(self.uwsgi.spooler_get_task(path.decode()))
            for path in self.uwsgi.spooler_jobs()
        ]


@pytest.fixture
def case(make_module: MakeModule, tmp_path: Path) -> Case:
    return Case(
        *make_module(f"--spooler={tmp_path}", "--mules=2", "--farm=f:2", "--locks=1")
    )


def test_both_names_are_one_module(case: Case) -> None:
    finder = sys.meta_path[-1]
    assert isinstance(finder, DecoratorsFinder)
    spec = finder.find_spec("uwsgidecorators", None)
    assert spec is not None
    assert importlib.util.module_from_spec(spec) is case.decorators
    assert finder.find_spec("uwsgi_something", None) is None


def test_it_needs_a_master(make_module: MakeModule) -> None:
    _, context = make_module("--master")
    context.master_pid = 0
    with pytest.raises(Exception, match="enable the uWSGI master process"):
        importlib.import_module("geuwsgi.decorators")


def test_a_call_becomes_a_task_with_str_keys_and_values(case: Case) -> None:
    @case.decorators.spool
    def work(arguments: dict[str, Any]) -> None:
        case.done.append(arguments)

    work({"a": "b", b"c": 5}, d="é")
    work.spool(body=b"\xff\0")
    assert case.run_tasks() == [-2, -2]
    first, second = sorted(case.done, key=lambda task: "body" in task)
    assert first["a"] == "b" and first["c"] == "5" and first["d"] == "é"
    assert first["ud_spool_func"] == "work"
    assert first["spooler_task_name"].endswith(first["spooler_task_name"])
    assert second["body"] == b"\xff\0"


def test_arguments_are_passed_as_they_are(case: Case) -> None:
    @case.decorators.spool(pass_arguments=True)
    def work(*args: Any, **kwargs: Any) -> None:
        case.done.append((args, kwargs))

    path = work(1, "two", three=[3], priority=4, body=b"x")
    assert Path(path.decode()).parent.name == "4"
    assert case.run_tasks() == [-2]
    assert case.done == [((1, "two"), {"three": [3]})]


def test_what_becomes_of_a_task_depends_on_the_decorator(case: Case) -> None:
    results = {"raw": -1, "once": 77, "always": 77}

    def work(task: dict[str, str]) -> int:
        return results[task["kind"]]

    for name, decorator in (
        ("raw", case.decorators.spoolraw),
        ("once", case.decorators.spool),
        ("always", case.decorators.spoolforever),
    ):
        work.__name__ = name
        decorator(work)(kind=name)
    kinds = {
        task["kind"]: case.uwsgi.spooler(task)
        for path in case.uwsgi.spooler_jobs()
        if (task := case.uwsgi.spooler_get_task(path.decode()))
    }
    assert kinds == {b"raw": -1, b"once": -2, b"always": -1}


def test_tasks_of_uwsgi_are_understood(case: Case) -> None:
    @case.decorators.spoolraw
    def work(task: dict[str, str]) -> int:
        return len(task["a"])

    task = {"spooler_task_name": b"x", b"ud_spool_func": b"work", b"a": b"four"}
    assert case.uwsgi.spooler(task) == 4
    with pytest.raises(KeyError, match="missing"):
        case.uwsgi.spooler({b"ud_spool_func": b"missing"})


def test_without_a_spooler_spooling_is_refused(make_module: MakeModule) -> None:
    case = Case(*make_module("--master"))
    case.uwsgi.SPOOL_OK = -2  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="enable the uWSGI spooler"):
        case.decorators.spool(print)


def test_forks_are_told_to_those_who_wait(case: Case) -> None:
    @case.decorators.postfork
    def everywhere() -> None:
        case.done.append("everywhere")

    @case.decorators.postfork(2)
    def second() -> None:
        case.done.append("second")

    case.context.worker_id = 1
    case.uwsgi.post_fork_hook()
    assert case.done == ["everywhere"]
    case.context.worker_id = 2
    case.uwsgi.post_fork_hook()
    assert case.done == ["everywhere", "everywhere", "second"]
    everywhere()
    assert case.done[-1] == "everywhere"


def test_calls_are_sent_to_mules(case: Case) -> None:
    @case.decorators.mulefunc
    def anywhere(*args: int, **kwargs: int) -> None:
        case.done.append(("anywhere", args, kwargs))

    @case.decorators.mulefunc(2)
    def second(number: int) -> None:
        case.done.append(("second", number))

    @case.decorators.mulefunc("f")
    def in_farm(number: int) -> None:
        case.done.append(("farm", number))

    anywhere(1, a=2)
    second(3)
    in_farm(4)
    assert case.done == []
    case.context.mule_id = 2
    for _ in range(3):
        case.uwsgi.mule_msg_hook(case.uwsgi.mule_get_msg())
    assert case.done == [("second", 3), ("anywhere", (1,), {"a": 2}), ("farm", 4)]


def test_other_messages_are_told_and_forgotten(
    case: Case, capfd: pytest.CaptureFixture[str]
) -> None:
    for message in (b"plain text", pickle.dumps(5), pickle.dumps({"service": "x"})):
        assert case.uwsgi.mule_msg_hook(message) is None
    assert "a mule message of 10 bytes is no call" in capfd.readouterr().err


def test_loops_run_in_their_mule_and_end_it_when_they_fail(case: Case) -> None:
    class Enough(Exception):
        pass

    def stop_after(count: int) -> None:
        case.done.append(len(case.done))
        if len(case.done) >= count:
            raise Enough

    @case.decorators.mule(1)
    def once() -> None:
        case.done.append("once")

    @case.decorators.muleloop(2)
    def loop() -> None:
        stop_after(4)

    case.uwsgi.post_fork_hook()
    assert case.done == []
    case.context.mule_id = 1
    case.uwsgi.post_fork_hook()
    assert case.done == ["once"]
    case.context.mule_id = 2
    with pytest.raises(SystemExit):
        case.uwsgi.post_fork_hook()
    assert case.done == ["once", 1, 2, 3]
    assert callable(once) and callable(loop)


def test_messages_of_mules_and_farms_are_handled_in_loops(case: Case) -> None:
    def handle(message: bytes) -> None:
        case.done.append(message)
        if message == b"end":
            raise EOFError

    case.decorators.mulemsg(1)(handle)
    case.decorators.farm("f")(handle)
    for message in ("one", "end"):
        case.uwsgi.mule_msg(message, 1)
        case.uwsgi.farm_msg("f", message)
    case.context.mule_id = 1
    with pytest.raises(SystemExit):
        case.uwsgi.post_fork_hook()
    case.context.mule_id = 2
    with pytest.raises(EOFError):
        case.uwsgi.post_fork_hook()
    assert case.done == [b"one", b"end", b"one", b"end"]


def test_signals_get_their_handlers_and_what_raises_them(case: Case) -> None:
    decorators = case.decorators
    handlers = case.context.background.handlers
    table = case.context.commons.signal_table
    assert table is not None

    def work(number: int) -> None: ...

    assert decorators.signal(3, target="workers")(work) is work
    assert decorators.timer(7)(work) is work
    decorators.timer(8, signum=9, target="mule1")(work)
    decorators.rbtimer(5, iterations=2)(work)
    decorators.cron(1, -1, -1, -1, 0)(work)
    decorators.filemon("/tmp", target="spooler")(work)
    assert sorted(handlers) == [0, 1, 2, 3, 4, 9]
    assert table.target(3) == b"workers"
    assert table.timers() == [Timer(0, 7000), Timer(9, 8000)]
    assert table.target(9) == b"mule1"
    assert table.rb_timers() == [Timer(1, 5000, 2)]
    assert table.crons() == [Cron(2, 1, -1, -1, -1, 0)]
    assert table.files() == [WatchedFile(4, b"/tmp")]
    assert table.target(4) == b"spooler"
    for number in range(256):
        decorators.signal(number)(work)
    with pytest.raises(Exception, match="No free uwsgi signal"):
        decorators.get_free_signal()


def test_a_locked_function_holds_the_lock(case: Case) -> None:
    @case.decorators.lock
    def work(value: int) -> tuple[int, bool]:
        return value, case.uwsgi.is_locked()

    assert work(5) == (5, True)
    assert not case.uwsgi.is_locked()

    @case.decorators.lock
    def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not case.uwsgi.is_locked()
    case.context.is_spooler = True
    assert work(5) is None


def test_a_threaded_function_runs_in_a_thread(case: Case) -> None:
    ran = threading.Event()
    started = case.decorators.thread(ran.set)()
    assert ran.wait(2)
    assert started == ran.set


def test_remote_functions_are_offered(case: Case) -> None:
    @case.decorators.rpc("double")
    def double(text: bytes) -> bytes:
        return text * 2

    assert case.uwsgi.call(b"double", b"ab") == b"abab"
    assert double(b"x") == b"xx"


def test_harakiri_is_set_and_taken_back(case: Case) -> None:
    case.uwsgi.set_user_harakiri = case.done.append  # type: ignore[attr-defined]

    @case.decorators.harakiri(30)
    def work() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        work()
    assert case.done == [30, 0]


def test_erlang_is_refused(case: Case) -> None:
    with pytest.raises(Exception, match="no erlang"):
        case.decorators.erlang("name")


def test_nothing_of_the_original_is_missing(case: Case) -> None:
    names = """spooler_functions mule_functions postfork_chain get_free_signal
    manage_spool_request postfork_chain_hook postfork spoolraw spool spoolforever
    mulefunc mule_msg_dispatcher rpc farm mule muleloop mulemsg signal timer cron
    rbtimer filemon erlang lock thread harakiri""".split()
    assert [name for name in names if not hasattr(case.decorators, name)] == []
