"""Signals, mules, spooler and remote calls answer as uWSGI."""

from __future__ import annotations

from pathlib import Path

from tests.api.answers import compare
from tests.api.conftest import MakeModule


def test_signal_functions_answer_as_uwsgi(make_module: MakeModule) -> None:
    module, _ = make_module("--master")
    assert compare("signals", vars(module)) == []


def test_remote_calls_answer_as_uwsgi(make_module: MakeModule) -> None:
    module, _ = make_module("--master")
    assert compare("rpc", vars(module)) == []


def test_mule_functions_answer_as_uwsgi(make_module: MakeModule) -> None:
    module, _ = make_module("--mules=2", "--farm=fa:1,2")
    assert compare("mules", vars(module)) == []


def test_without_mules_functions_answer_as_uwsgi(make_module: MakeModule) -> None:
    module, _ = make_module("--master")
    assert compare("mules_none", vars(module)) == []


def test_spooler_functions_answer_as_uwsgi(
    make_module: MakeModule, tmp_path: Path
) -> None:
    module, _ = make_module(f"--spooler={tmp_path}")
    assert compare("spooler", vars(module)) == []


def test_there_are_spooler_functions_only_with_a_spooler(
    make_module: MakeModule,
) -> None:
    module, _ = make_module("--master")
    assert not hasattr(module, "spool")
    assert not hasattr(module, "queue_push")
    assert not hasattr(module, "sharedarea_read")


def test_registering_a_signal_needs_a_master(make_module: MakeModule) -> None:
    module, context = make_module("--master")
    context.master_pid = 0
    assert compare_registering(module.register_signal) == "ValueError"


def compare_registering(register: object) -> str:
    try:
        register(1, "", print)  # type: ignore[operator]
    except ValueError as exc:
        return type(exc).__name__
    return "nothing"


def test_a_farm_may_be_named_by_str(make_module: MakeModule) -> None:
    module, context = make_module("--mules=2", "--farm=fa:2")
    assert module.mule_msg("text", "fa") is True
    context.mule_id = 2
    assert module.farm_get_msg() == b"text"
    assert module.in_farm("fa") is True
    context.mule_id = 1
    assert module.in_farm("fa") is None


def test_a_mule_gets_its_messages(make_module: MakeModule) -> None:
    module, context = make_module("--mules=2", "--farm=fa:2")
    context.mule_id = 2
    module.mule_msg("any", 0)
    module.mule_msg("mine", 2)
    module.mule_msg("other", 1)
    module.farm_msg("fa", "farm")
    assert module.mule_get_msg(buffer_size=2) == b"mi"
    assert module.mule_get_msg(farms=False) == b"any"
    assert module.mule_get_msg(farms=False, timeout=0.001) is None
    assert module.mule_get_msg() == b"farm"


def test_a_task_is_written_with_all_it_asks_for(
    make_module: MakeModule, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = tmp_path / "one", tmp_path / "two"
    module, _ = make_module(f"--spooler={one}", f"--spooler-external={two}")
    assert module.spoolers == (bytes(one), bytes(two))
    task = {b"a": b"b", b"body": b"text", b"priority": b"7", b"at": b"9999999999"}
    path = Path(module.spool(task).decode())
    assert path.parent == one / "7"
    assert b"body" not in task
    assert path.stat().st_mtime == 9999999999
    found = module.spooler_get_task(str(path))
    assert found == {
        "spooler_task_name": bytes(path),
        b"a": b"b",
        b"at": b"9999999999",
        b"priority": b"7",
        "body": b"text",
    }
    assert found["a"] == found[b"a"] and b"body" in found
    path = Path(module.spool({b"a": b"b", b"spooler": bytes(two)}).decode())
    assert path.parent == two
    assert module.spooler_jobs() == [bytes(next((one / "7").iterdir()))]
