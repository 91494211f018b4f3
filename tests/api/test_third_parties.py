"""Packages that other people wrote over the ``uwsgi`` module find what they need.

``uwsgidecorators`` (PyPI's own copy), ``uwsgiconf``'s runtime, and the stubs of
``types-uWSGI``. Each test is skipped where its package is not installed.
"""

# mypy: ignore-errors

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

from geuwsgi.background.spooler.process import TaskDictionary
from geuwsgi.shared.signaltable import Cron, Timer
from tests.api.conftest import MakeModule


@pytest.fixture
def forget_imports():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("uwsgidecorators", "uwsgiconf"):
            del sys.modules[name]


def require(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


def test_the_published_decorators_work(
    make_module: MakeModule, tmp_path: Path, forget_imports
) -> None:
    require("uwsgidecorators")
    uwsgi, context = make_module(f"--spooler={tmp_path}", "--mules=2", "--locks=1")
    decorators = importlib.import_module("uwsgidecorators")
    done = []

    @decorators.spool
    def work(task):
        done.append(task["a"])

    @decorators.spool(pass_arguments=True)
    def work_with(*args, **kwargs):
        done.append((args, kwargs))

    @decorators.mulefunc(1)
    def in_mule(value):
        done.append(value)

    @decorators.timer(3, target="mule")
    def tick(number):
        done.append(number)

    @decorators.cron(1, -1, -1, -1, -1)
    def daily(number):
        done.append(number)

    @decorators.lock
    def locked():
        done.append(uwsgi.is_locked())

    @decorators.postfork
    def forked():
        done.append("forked")

    @decorators.rpc("hello")
    def hello(name):
        return b"hello " + name

    work({"a": "value"})
    work_with(1, b=2)
    for path in sorted(uwsgi.spooler_jobs()):
        task = uwsgi.spooler_get_task(path.decode())
        assert isinstance(task, TaskDictionary)
        assert uwsgi.spooler(task) == -2
    in_mule(5)
    context.mule_id = 1
    uwsgi.mule_msg_hook(uwsgi.mule_get_msg())
    locked()
    uwsgi.post_fork_hook()
    assert uwsgi.call(b"hello", b"world") == b"hello world"
    assert sorted(map(repr, done[:2])) == ["'value'", "((1,), {'b': 2})"]
    assert done[2:] == [5, True, "forked"]
    table = context.commons.signal_table
    assert table.timers() == [Timer(0, 3000)]
    assert table.crons() == [Cron(1, 1, -1, -1, -1, -1)]


def test_the_runtime_of_uwsgiconf_works(
    make_module: MakeModule, tmp_path: Path, forget_imports
) -> None:
    require("uwsgiconf")
    uwsgi, context = make_module(
        f"--spooler={tmp_path}",
        "--mules=2",
        "--farm=one:1,2",
        "--cache2=name=mine,items=20",
        "--locks=1",
        "--enable-metrics",
        "--metric=mine",
    )
    done = []
    from uwsgiconf.runtime.caching import Cache
    from uwsgiconf.runtime.locking import lock
    from uwsgiconf.runtime.monitoring import Metric
    from uwsgiconf.runtime.mules import Farm, Mule
    from uwsgiconf.runtime.platform import uwsgi as platform
    from uwsgiconf.runtime.rpc import get_rpc_list, make_rpc_call, register_rpc
    from uwsgiconf.runtime.scheduling import register_cron, register_timer
    from uwsgiconf.runtime.signals import Signal
    from uwsgiconf.runtime.spooler import Spooler

    assert platform.get_version(as_tuple=True)[:2] == (2, 0)
    assert platform.worker_id == 0
    assert platform.master_pid == context.master_pid

    cache = Cache("mine")
    assert cache.set("key", "value")
    assert cache.get("key") == "value"
    assert "key" in cache
    cache.incr("n", delta=5)
    cache.mul("n", value=3)
    assert cache.get("n", as_int=True) == 15
    assert sorted(cache.keys) == ["key", "n"]
    cache.delete("key")
    assert "key" not in cache

    with lock():
        assert lock().is_set
    assert not lock().is_set

    metric = Metric("mine")
    assert metric.set(5) and metric.incr(2)
    assert metric.value == 7

    @register_timer(2)
    def tick():
        done.append("tick")

    @register_cron(hour=3, minute=0)
    def nightly():
        done.append("nightly")

    assert context.commons.signal_table.timers() == [Timer(0, 2000)]
    assert context.commons.signal_table.crons() == [Cron(1, 0, 3, -1, -1, -1)]
    assert Signal(0).registered
    context.background.handlers[0](0)

    @register_rpc()
    def greet(name):
        return b"hello " + name

    assert list(get_rpc_list()) == ["greet"]
    assert make_rpc_call("greet", args=["world"]) == "hello world"

    mule = Mule(1)

    @mule.offload()
    def in_mule(value):
        done.append(value)

    in_mule("in the mule")
    context.mule_id = 1
    assert Mule.get_current_id() == 1
    uwsgi.mule_msg_hook(uwsgi.mule_get_msg())
    assert [farm.name for farm in Farm.get_farms()] == ["one"]

    spooler = Spooler.get_by_basename(tmp_path.name)
    assert spooler is not None

    @Spooler.task()
    def later(value, more=None):
        done.append((value, more))
        return True

    later(1, more=[2])
    (path,) = Spooler.get_tasks()
    task = uwsgi.spooler_get_task(path.decode())
    assert uwsgi.spooler(task) == uwsgi.SPOOL_OK
    assert done == ["tick", "in the mule", (1, [2])]


def test_every_function_of_the_stubs_is_there(
    make_module: MakeModule, tmp_path: Path
) -> None:
    stubs = find_stubs()
    if stubs is None:
        pytest.skip("types-uWSGI is not installed")
    uwsgi, _ = make_module(
        f"--spooler={tmp_path}",
        "--mules=1",
        "--queue=10",
        "--sharedarea=1",
        "--snmp",
        "--enable-metrics",
    )
    wanted = {
        node.name
        for node in ast.parse(stubs.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    wanted -= {"route", "start_response"}  # the latter is there in a request
    missing = sorted(name for name in wanted if not hasattr(uwsgi, name))
    assert missing == []


def find_stubs() -> Path | None:
    for directory in sys.path:
        path = Path(directory) / "uwsgi-stubs" / "__init__.pyi"
        if path.exists():
            return path
    return None
