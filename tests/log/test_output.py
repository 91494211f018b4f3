"""The output of a master and its children, as processes of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.log.output import is_datagram_target
from geuwsgi.log.pipe import LineReader, MasterStream

# A master: it opens its output as told, starts the child, and reads until that ends.
MASTER = """
import json, os, select, subprocess, sys
from geuwsgi.log.output import open_output
from geuwsgi.options.logging import Logging

given = json.loads(sys.argv[1])
options = {k: tuple(v) if isinstance(v, list) else v for k, v in given["logging"].items()}
output = open_output(
    Logging(**options),
    target=given["target"],
    touch_reopen=given["touch_reopen"],
    touch_rotate=given["touch_rotate"],
)
print("from the master", file=sys.stderr, flush=True)
exec(given["before"])
child = subprocess.Popen(
    [sys.executable, "-c", given["child"], str(output.request_fd)],
    pass_fds=[output.request_fd],
)
ended = os.pidfd_open(child.pid)
while True:
    ready = select.select([*output.readers, ended], [], [])[0]
    for fd in output.readers:
        if fd in ready:
            output.read(fd)
    if ended in ready:
        break
child.wait()
exec(given["after"])
output.tick()
output.close()
print("the end", flush=True)
"""

CHILD = """
import os, sys
print("on stdout", flush=True)
print("on stderr", file=sys.stderr, flush=True)
os.write(int(sys.argv[1]), b"a request\\n")
"""


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(
    *,
    target: str = "",
    child: str = CHILD,
    before: str = "",
    after: str = "",
    touch_reopen: tuple[str, ...] = (),
    touch_rotate: tuple[str, ...] = (),
    **logging: Any,
) -> list[str]:
    """Run the master; return the lines of its standard error, then of its output."""
    given = {
        "target": target,
        "child": child,
        "before": before,
        "after": after,
        "touch_reopen": touch_reopen,
        "touch_rotate": touch_rotate,
        "logging": logging,
    }
    answer = subprocess.run(
        [sys.executable, "-c", MASTER, json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stderr.splitlines() + answer.stdout.splitlines()


ALL = ["from the master", "on stdout", "on stderr", "a request"]


def test_without_options_everything_goes_where_it_went() -> None:
    assert run() == [
        "from the master",
        "on stderr",
        "a request",
        "on stdout",
        "the end",
    ]


def test_logto_collects_everything_in_a_file() -> None:
    assert run(target="a.log") == []
    assert Path("a.log").read_text().splitlines() == [*ALL, "the end"]


def test_with_log_master_the_master_writes_everything() -> None:
    assert run(log_master=True) == [*ALL, "the end"]


def test_with_log_master_a_file_may_be_the_target() -> None:
    assert run(log_master=True, target="a.log") == ["the end"]
    assert Path("a.log").read_text().splitlines() == ALL


@pytest.mark.parametrize("log_master", [False, True])
def test_the_lines_of_the_master_have_their_date(log_master: bool) -> None:
    lines = run(log_master=log_master, log_date="%Y")
    assert re.fullmatch(r"\d{4} - from the master", lines[0])
    assert {"on stdout", "on stderr", "a request", "the end"} <= set(lines)


def test_a_logger_gets_everything() -> None:
    assert run(log_master=True, logger=["file:a.log"]) == ["the end"]
    assert Path("a.log").read_text().splitlines() == ALL


def test_a_logger_with_an_id_gets_only_what_is_routed() -> None:
    lines = run(
        log_master=True,
        logger=["err file:a.log"],
        log_route=["err stderr"],
        log_encoder=["prefix:err E "],
    )
    assert lines == [*ALL, "the end"]
    assert Path("a.log").read_text() == "E on stderr\n"


def test_request_lines_may_have_loggers_of_their_own() -> None:
    lines = run(
        log_master=True,
        req_logger=["file:req.log"],
        log_req_encoder=['json {"m":"${msg}"}', "nl"],
        target="a.log",
    )
    assert lines == ["the end"]
    assert Path("a.log").read_text().splitlines() == ALL[:3]
    assert Path("req.log").read_text() == '{"m":"a request"}\n'


def test_loggers_of_workers_get_what_those_of_the_master_would() -> None:
    lines = run(
        log_master=True,
        worker_logger=["file:a.log"],
        worker_log_encoder=["prefix > "],
        worker_logger_req=["file:req.log"],
        worker_log_req_encoder=['json {"m":"${msg}"}', "nl"],
    )
    assert lines == ["the end"]
    assert Path("a.log").read_text().splitlines() == [f"> {line}" for line in ALL[:3]]
    assert Path("req.log").read_text() == '{"m":"a request"}\n'


def test_the_target_may_change_later() -> None:
    run(log_master=True, target="a.log", before="output.redirect('b.log')")
    assert Path("a.log").read_text().splitlines() == ALL[:1]
    assert Path("b.log").read_text().splitlines() == ALL[1:]
    run(target="c.log", before="output.redirect('d.log')")
    assert Path("d.log").read_text().splitlines() == [*ALL[1:], "the end"]


@pytest.mark.parametrize("log_master", [False, True])
def test_a_touched_file_has_the_log_opened_anew(log_master: bool) -> None:
    run(
        log_master=log_master,
        target="a.log",
        touch_reopen=("touched",),
        after=(
            "os.rename('a.log', 'old.log'); open('touched', 'w').close()\n"
            "output.tick(); print('anew', file=sys.stderr, flush=True)"
        ),
    )
    assert Path("old.log").read_text().splitlines() == ALL
    assert Path("a.log").read_text().splitlines()[0] == "anew"


@pytest.mark.parametrize("log_master", [False, True])
def test_a_touched_file_has_the_log_rotated(log_master: bool) -> None:
    run(
        log_master=log_master,
        target="a.log",
        log_backupname="old.log",
        touch_rotate=("touched",),
        after=(
            "open('touched', 'w').close()\n"
            "output.tick(); print('anew', file=sys.stderr, flush=True)"
        ),
    )
    assert Path("old.log").read_text().splitlines() == ALL
    assert Path("a.log").read_text().splitlines()[0] == "anew"


def test_a_log_that_grows_is_rotated_by_the_master() -> None:
    run(
        log_master=True,
        target="a.log",
        log_maxsize=1000,
        log_backupname="old.log",
        child="for n in range(100): print('line', n, 'x' * 10)",
    )
    assert Path("old.log").stat().st_size > 1000
    assert Path("a.log").stat().st_size < 1100


def test_the_last_words_of_a_process_are_not_lost() -> None:
    lines = run(log_master=True, child="import os; os.write(2, b'last words')")
    assert lines == ["from the master", "last words", "the end"]


def test_much_output_arrives_whole_and_in_order() -> None:
    child = "for n in range(50000): print(f'line {n:06}')"
    run(log_master=True, target="a.log", child=child)
    lines = Path("a.log").read_text().splitlines()
    assert lines[1:] == [f"line {n:06}" for n in range(50000)]


def test_a_reader_that_stops_stops_neither_master_nor_workers() -> None:
    reader, writer = os.pipe()
    given = {
        "target": "",
        "child": "for n in range(100000): print('x' * 99)",
        "before": "",
        "after": "",
        "touch_reopen": [],
        "touch_rotate": [],
        "logging": {"log_master": True},
    }
    # Ten megabytes into a pipe of 64 KiB that nobody reads.
    process = subprocess.Popen(
        [sys.executable, "-c", MASTER, json.dumps(given)],
        stderr=writer,
        stdout=subprocess.DEVNULL,
    )
    os.close(writer)
    assert process.wait(timeout=30) == 0
    os.close(reader)


@pytest.mark.parametrize(
    ("target", "is_one"),
    [
        ("127.0.0.1:514", True),
        ("loghost:514", True),
        ("/var/log/app.log", False),
        ("app.log", False),
        ("/var/log/a:1", False),
        ("a:b", False),
    ],
)
def test_host_and_port_are_told_from_a_path(target: str, is_one: bool) -> None:
    assert is_datagram_target(target) is is_one


def test_a_line_that_nobody_ends_is_ended_after_a_while() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    lines: list[bytes] = []
    pipe = LineReader(reader, lines.append)
    os.write(writer, b"one\ntw")
    pipe.read()
    pipe.tick()
    assert lines == [b"one\n"]
    os.write(writer, b"o")
    pipe.read()
    pipe.tick()
    pipe.tick()
    assert lines == [b"one\n", b"two\n"]
    os.close(reader)
    os.close(writer)


def test_what_the_master_prints_becomes_lines() -> None:
    lines: list[bytes] = []
    stream = MasterStream(lines.append)
    print("one\ntwo", "é", file=stream)
    stream.write("thr")
    stream.write("ee\n")
    stream.write("\udcff\n")
    assert lines == [b"one\n", "two é\n".encode(), b"three\n", b"\\udcff\n"]
