from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from geuwsgi.background.counts import mule_programs, parse_farm
from geuwsgi.background.member import farm_boxes, message_boxes, signal_boxes
from geuwsgi.background.mules import MessageWaiter, Mule, MuleTask, run_program
from geuwsgi.errors import ConfigError
from geuwsgi.options import Settings
from geuwsgi.options.mules import Mules
from geuwsgi.shared.mailboxes import Farm, Mailbox, Mailboxes
from tests.background.eventually import eventually


class Case:
    def __init__(self) -> None:
        self.box = Mailbox.for_messages()
        self.got: list[bytes] = []
        self.ended: list[int] = []
        self.hook: Callable[[bytes], object] | None = self.got.append

    def start(
        self, program: str = "", harakiri_s: float = 0.0, before: object = None
    ) -> Mule:
        mule = Mule(
            MuleTask(1, program, harakiri_s),
            MessageWaiter([self.box]),
            before=before if callable(before) else lambda: None,
            find_hook=lambda: self.hook,
            end=self.ended.append,
        )
        mule.start()
        gevent.sleep(0)
        return mule


@pytest.fixture
def case() -> Case:
    return Case()


def test_messages_go_to_the_hook_one_after_another(case: Case) -> None:
    running = 0

    def hook(message: bytes) -> None:
        nonlocal running
        running += 1
        assert running == 1
        gevent.sleep(0.001)
        running -= 1
        case.got.append(message)

    case.hook = hook
    mule = case.start()
    for message in (b"one", b"", b"three"):
        case.box.send(message)
    eventually(lambda: case.got == [b"one", b"", b"three"])
    assert mule.drain(reason="stop", deadline_s=20)
    assert case.ended == []


def test_a_failing_hook_does_not_end_the_mule(
    case: Case, capfd: pytest.CaptureFixture[str]
) -> None:

    def fail(message: bytes) -> None:
        case.got.append(message)
        raise ZeroDivisionError

    case.hook = fail
    mule = case.start()
    case.box.send(b"one")
    case.box.send(b"two")
    eventually(lambda: case.got == [b"one", b"two"])
    case.hook = None
    case.box.send(b"three")
    told = ""

    def is_told() -> bool:
        nonlocal told
        told += capfd.readouterr().err
        return "received a 5 bytes message" in told

    eventually(is_told)
    assert told.count("    raise ZeroDivisionError") == 2
    assert "received a 5 bytes message and has no mule_msg_hook" in told
    mule.drain(reason="stop", deadline_s=20)


@pytest.mark.parametrize(
    "error", [gevent.GreenletExit(), gevent.Timeout(1), BaseException("odd")]
)
def test_no_hook_ends_the_mule_but_by_exiting(
    case: Case, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    def hook(message: bytes) -> None:
        case.got.append(message)
        if message == b"bad":
            raise error

    case.hook = hook
    mule = case.start()
    case.box.send(b"bad")
    case.box.send(b"good")
    eventually(lambda: case.got == [b"bad", b"good"])
    assert type(error).__name__ in capsys.readouterr().err
    assert case.ended == []
    assert mule.drain(reason="stop", deadline_s=1)


def test_draining_finishes_the_message(case: Case) -> None:

    def hook(message: bytes) -> None:
        gevent.sleep(0.02)
        case.got.append(message)

    case.hook = hook
    mule = case.start()
    case.box.send(b"one")
    case.box.send(b"two")
    eventually(lambda: mule._busy)
    assert mule.drain(reason="reload", deadline_s=20)
    assert case.got == [b"one"]
    assert case.box.receive() == b"two"


def test_a_message_that_takes_too_long_is_cut(case: Case) -> None:
    case.hook = lambda message: gevent.sleep(30)
    mule = case.start()
    case.box.send(b"one")
    eventually(lambda: mule._busy)
    assert not mule.drain(reason="stop", deadline_s=0.01)


def test_a_program_runs_once_and_its_end_is_told(case: Case, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nassert __name__ == '__main__'\nsys.exit(3)\n")
    case.start(str(program))
    eventually(lambda: case.ended == [3])
    program.write_text("pass\n")
    case.start(str(program))
    eventually(lambda: case.ended == [3, 0])
    program.write_text("1 // 0\n")
    case.start(str(program))
    eventually(lambda: case.ended == [3, 0, 1])


def test_a_callable_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "a_mule_module.py").write_text("def loop(): print('loop')\n")
    run_program("a_mule_module:loop")
    run_program("a_mule_module:loop()")
    run_program("a_mule_module.loop")
    assert capfd.readouterr().out.split() == ["loop"] * 3
    with pytest.raises(ConfigError, match="cannot find 'a_mule_module:missing'"):
        run_program("a_mule_module:missing")
    with pytest.raises(ConfigError, match="cannot find 'missing_module:x'"):
        run_program("missing_module:x")
    sys.modules.pop("a_mule_module", None)


def test_what_runs_after_the_fork_may_never_return(case: Case) -> None:
    mule = case.start(before=lambda: gevent.sleep(30))
    case.box.send(b"one")
    gevent.sleep(0.005)
    assert case.got == []
    assert mule.drain(reason="stop", deadline_s=20)


def test_exiting_after_the_fork_is_told(case: Case) -> None:
    case.start(before=lambda: sys.exit(1))
    eventually(lambda: case.ended == [1])


def test_harakiri_ends_the_process(case: Case) -> None:
    pid = os.fork()
    if not pid:
        gevent.get_hub().destroy(destroy_loop=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        case.hook = lambda message: signal.pause()
        case.start(harakiri_s=0.05)
        case.box.send(b"one")
        gevent.sleep(30)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


def test_mules_are_numbered_as_their_lines_come() -> None:
    settings = Settings(mules=Mules(mule=("a.py", "", "b:c"), mules=2))
    lines = [("mule", "a.py"), ("master", "true"), ("mules", "2"), ("mule", "true")]
    lines += [("mule", "b:c")]
    assert mule_programs(settings, lines) == ["a.py", "", "", "", "b:c"]


def test_farms_are_parsed() -> None:
    assert parse_farm("f:1, 2", 2) == Farm("f", (1, 2))
    for text in ("f", "f:", ":1", "", "f:x", "f:3"):
        with pytest.raises(ConfigError):
            parse_farm(text, 2)


def test_a_process_reads_what_is_for_it() -> None:
    farms = [Farm("a", (1,)), Farm("b", (1, 2))]
    boxes = Mailboxes.create(workers=2, mules=2, farms=farms, spoolers=True)
    assert signal_boxes(boxes, "worker", 2) == [
        boxes.worker_signals[2],
        boxes.worker_signals[0],
    ]
    assert signal_boxes(boxes, "mule", 2) == [
        boxes.mule_signals[2],
        boxes.mule_signals[0],
        boxes.farm_signals[1],
    ]
    assert signal_boxes(boxes, "spooler", 1) == boxes.spooler_signals
    assert signal_boxes(boxes, "service", 1) == []
    assert message_boxes(boxes, 1) == [
        boxes.mule_messages[1],
        boxes.mule_messages[0],
        *boxes.farm_messages,
    ]
    assert message_boxes(boxes, 1, farms=False) == [
        boxes.mule_messages[1],
        boxes.mule_messages[0],
    ]
    assert farm_boxes(boxes, 2) == boxes.farm_messages[1:]
