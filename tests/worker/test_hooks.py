from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from geuwsgi.background.replies import encode_reply
from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.options import Hooks
from geuwsgi.protocol.uwsgi import RPC, encode_array, encode_packet
from geuwsgi.worker.hooks import (
    HookAction,
    HookRunner,
    actions_of,
    check_hooks,
    parse_action,
    split_touch,
)


def run(*actions: str) -> list[str]:
    log: list[str] = []
    HookRunner(log.append, {"PATH": os.environ["PATH"], "WHO": "me"}).run(
        "test", actions
    )
    return log


def test_an_action_is_a_name_and_an_argument() -> None:
    assert parse_action("exec:ls -l: x") == HookAction("exec", "ls -l: x")
    assert parse_action("!log:quiet") == HookAction("log", "quiet", is_quiet=True)


@pytest.mark.parametrize("text", ["", "exce:ls", "call:function", "callint:f 1"])
def test_an_action_nobody_knows_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="hook "):
        parse_action(text)


def test_the_log_tells_what_runs_unless_it_shall_be_quiet() -> None:
    assert run("log:a", "!log:b") == ['running "log:a" (test)...', "a", "b"]


def test_files_are_written_and_changed(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    run(f"write:{a} one", f"append:{a} two", f"appendn:{a} three")
    assert a.read_text() == "onetwothree\n"
    run(f"writen:{a} new", f"chmod:{a} 640", f"rename:{a} {b}", f"mkdir:{tmp_path}/c/d")
    assert b.read_text() == "new\n"
    assert stat.S_IMODE(b.stat().st_mode) == 0o640
    assert (tmp_path / "c" / "d").is_dir()
    run(f"create:{a}", f"unlink:{b}")
    assert a.read_text() == ""
    assert not b.exists()


def test_commands_get_the_environment(tmp_path: Path) -> None:
    run(f"exec:echo $WHO > {tmp_path}/who")
    assert (tmp_path / "who").read_text() == "me\n"


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("exec:exit 3", "ended with status 3"),
        ("unlink:/nowhere/at/all", "no such file"),
        ("chmod:/nowhere x", "invalid literal"),
        ("unix_signal:15 gracefully_kill_them_all", "in the master only"),
    ],
)
def test_an_action_that_fails_is_fatal(action: str, reason: str) -> None:
    with pytest.raises(StartupError, match=reason):
        run(action)


def test_safeexec_only_tells() -> None:
    assert run("!safeexec:exit 3") == ["command 'exit 3' ended with status 3"]


def test_exit_ends_the_process() -> None:
    with pytest.raises(SystemExit) as ended:
        run("exit:7")
    assert ended.value.code == 7


def test_signals_are_bound_by_whoever_can() -> None:
    bound: list[tuple[int, str]] = []
    runner = HookRunner(lambda line: None, None, lambda n, f: bound.append((n, f)))
    runner.run("test", ["unix_signal:15 gracefully_kill_them_all"])
    assert bound == [(15, "gracefully_kill_them_all")]


def test_hooks_come_before_commands() -> None:
    hooks = Hooks(hook_as_root=("log:a",), exec_as_root=("b", "c"))
    assert actions_of(hooks, "as_root") == ("log:a", "exec:b", "exec:c")


def test_wrong_hooks_are_found_before_they_run() -> None:
    check_hooks(Hooks(hook_post_fork=("log:a",), hook_touch=("/a log:b",)))
    with pytest.raises(ConfigError, match="unknown action"):
        check_hooks(Hooks(hook_post_fork=("lgo:a",)))
    with pytest.raises(ConfigError, match="is not file action"):
        check_hooks(Hooks(hook_touch=("/a",)))
    assert split_touch("/a log:b c") == ("/a", "log:b c")


def test_an_alarm_is_raised_where_somebody_hears_it() -> None:
    raised: list[tuple[str, str]] = []
    runner = HookRunner(
        lambda line: None, raise_alarm=lambda *alarm: raised.append(alarm)
    )
    runner.run("test", ["alarm:mail the disk is full"])
    assert raised == [("mail", "the disk is full")]
    with pytest.raises(StartupError, match="cannot be raised"):
        run("alarm:mail x")


def test_a_function_of_another_server_is_called() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        asked: list[bytes] = []

        def answer() -> None:
            visitor, _ = server.accept()
            with visitor:
                asked.append(visitor.recv(4096))
                visitor.sendall(encode_reply(b"done"))

        thread = threading.Thread(target=answer)
        thread.start()
        log = run(f"!rpc:deploy@{address} now")
        thread.join()
    assert log == [f"deploy@{address}: done"]
    assert asked == [encode_packet(RPC, encode_array([b"deploy", b"now"]))]


@pytest.mark.parametrize("text", ["rpc:local 1", "rpc:", "retryrpc:f@"])
def test_a_function_of_nobody_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="function@address"):
        parse_action(text)


def test_a_pipe_gets_its_line_when_somebody_reads(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StartupError, match="no such device"):
        run(f"writefifo:{tmp_path}/pipe r")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    run(f"spinningfifo:{tmp_path}/pipe r")
    assert os.read(reader, 10) == b"r"
    os.close(reader)
