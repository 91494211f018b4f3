"""Signals, mules, spooler and remote calls answer as uWSGI."""

from __future__ import annotations

from pathlib import Path

from geuwsgi.shared import scoreboard
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


def test_metrics_answer_as_uwsgi(make_module: MakeModule) -> None:
    module, _ = make_module(
        "--metric=mine",
        "--metric=name=init,initial_value=7",
        "--metric=name=file,collector=file,arg1=/nonexistent",
        "--snmp",
    )
    assert compare("metrics", vars(module)) == []


def test_the_rest_answers_as_uwsgi(make_module: MakeModule) -> None:
    module, _ = make_module("--master")
    assert compare("extras", vars(module)) == []


def test_without_metrics_there_is_nothing(make_module: MakeModule) -> None:
    module, _ = make_module("--master")
    assert module.metric_get("mine") == 0
    assert module.metric_set("mine", 5) is None
    assert not hasattr(module, "snmp_set_gauge")


def test_an_alias_is_the_metric_it_names(make_module: MakeModule) -> None:
    module, _ = make_module("--metric=mine", "--metric=name=other,alias=mine,oid=1.2")
    module.metric_set("other", 5)
    assert module.metric_get("mine") == module.metric_get("1.2") == 5


def test_the_workers_are_metrics_too(make_module: MakeModule) -> None:
    module, context = make_module("--enable-metrics", "--processes=2")
    row = context.scoreboard.slot(0).view
    row[scoreboard.PID], row[scoreboard.WORKER_ID] = 1, 2
    row[scoreboard.REQUESTS], row[scoreboard.KEPT_REQUESTS] = 3, 40
    row[scoreboard.CORES_BUSY] = 1
    assert module.metric_get("worker.2.requests") == 43
    assert module.metric_get("worker.2.delta_requests") == 3
    assert module.metric_get("worker.1.requests") == 0
    assert module.metric_get("worker.3.requests") == 0
    assert module.metric_get("core.busy_workers") == 1
    assert module.metric_set("worker.2.requests", 0) is None


def test_an_alarm_goes_to_the_master(make_module: MakeModule) -> None:
    module, context = make_module("--master")
    assert module.alarm("fire", "text") is None
    boxes = context.commons.mailboxes
    assert boxes is not None
    assert boxes.alarm_messages.receive() == b"fire\0text"


def test_a_packet_in_a_file_is_parsed(make_module: MakeModule, tmp_path: Path) -> None:
    module, _ = make_module("--master")
    path = tmp_path / "packet"
    path.write_bytes(b"\0\6\0\0\1\0a\1\0b")
    assert module.parsefile(str(path)) == {b"a": b"b"}
    for octets in (b"", b"\5\0\0\0", b"\0\6\0\0\1\0a", b"\0\3\0\0\1\0a"):
        path.write_bytes(octets)
        assert module.parsefile(str(path)) is None
