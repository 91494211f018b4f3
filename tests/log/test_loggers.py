"""Loggers over real files, sockets and a Redis that speaks the protocol."""

from __future__ import annotations

import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.log.encoders import compile_encoder
from geuwsgi.log.files import FileSink
from geuwsgi.log.loggers import (
    LoggerOptions,
    Stream,
    compile_pattern,
    compile_route,
    open_logger,
)
from geuwsgi.log.redis import RedisSink
from geuwsgi.log.sinks import DatagramSink, Sink

LINE = b"a message\n"


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def opened(text: str, **options: Any) -> Sink:
    logger_id, sink = open_logger(text, LoggerOptions(**options))
    assert logger_id == ""
    return sink


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(5)
        yield bound


def port_of(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])


@pytest.mark.parametrize(
    ("text", "logger_id"),
    [
        ("file:a.log", ""),
        ("one file:a.log", "one"),
        (" one  file:a.log", "one"),
        ("stdio", ""),
        ("one stdio", "one"),
        ("stdio:", ""),
        ("file:a b.log", ""),
    ],
)
def test_an_id_may_stand_before_the_plugin(text: str, logger_id: str) -> None:
    found, sink = open_logger(text, LoggerOptions())
    sink.close()
    assert found == logger_id


def test_a_file_gets_the_lines(tmp_path: Path) -> None:
    sink = opened("file:a.log")
    os.chdir("/")
    sink.write(LINE)
    sink.close()
    path = tmp_path / "a.log"
    assert path.read_bytes() == LINE
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_was_moved_is_opened_anew() -> None:
    sink = opened("file:a.log")
    os.rename("a.log", "b.log")
    sink.write(b"1\n")
    sink.reopen()
    sink.write(b"2\n")
    sink.close()
    assert (Path("a.log").read_bytes(), Path("b.log").read_bytes()) == (b"2\n", b"1\n")


def test_a_file_that_cannot_be_opened_anew_stays_in_use(tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    sink = FileSink(f"{directory}/a.log")
    directory.rename(tmp_path / "moved")
    sink.reopen()
    sink.write(LINE)
    sink.close()
    assert (tmp_path / "moved" / "a.log").read_bytes() == (
        f"*** cannot reopen the log file {directory}/a.log: no such file or directory"
        " ***\n".encode()
        + LINE
    )


def test_a_file_that_grows_too_large_is_rotated() -> None:
    sink = FileSink("a.log", max_bytes=25, clock=lambda: 1795637468.5)
    for number in range(4):
        sink.write(b"line %03d\n" % number)
    sink.close()
    assert Path("a.log.1795637468").read_bytes() == b"line 000\nline 001\nline 002\n"
    assert Path("a.log").read_bytes() == b"line 003\n"


def test_what_was_rotated_in_the_same_second_is_kept() -> None:
    sink = FileSink("a.log", max_bytes=1, clock=lambda: 7.5)
    for number in range(4):
        sink.write(b"line %03d\n" % number)
    sink.close()
    names = ("a.log.7", "a.log.7.1", "a.log.7.2", "a.log.7.3")
    assert [Path(name).read_bytes()[5:8] for name in names] == [
        b"%03d" % number for number in range(4)
    ]


def test_the_size_of_a_file_that_is_continued_counts() -> None:
    Path("a.log").write_bytes(b"x" * 30)
    sink = FileSink("a.log", max_bytes=35, backup_name="old.log")
    sink.write(LINE)
    sink.write(LINE)
    sink.close()
    assert Path("old.log").stat().st_size == 40
    assert Path("a.log").read_bytes() == LINE


def test_a_rotation_that_fails_is_told_once() -> None:
    sink = FileSink("a.log", max_bytes=60, backup_name="missing/old.log")
    for _ in range(8):
        sink.write(LINE)
    sink.close()
    text = Path("a.log").read_text()
    assert text.count("cannot rename the log file to missing/old.log") == 1
    assert text.count("a message") == 8


def test_the_rotation_of_a_file_logger_is_in_its_arguments() -> None:
    sink = opened("file:logfile=a.log,maxsize=5,backup_name=old.log")
    sink.write(LINE)
    sink.close()
    assert Path("old.log").read_bytes() == LINE


def test_mode_and_truncation_of_files_are_options() -> None:
    Path("a.log").write_bytes(b"old")
    FileSink("a.log", mode=0o600, truncate=True).close()
    assert Path("a.log").read_bytes() == b""
    assert stat.S_IMODE(os.stat("a.log").st_mode) == 0o600


def test_a_file_that_cannot_be_opened_is_named() -> None:
    with pytest.raises(StartupError) as caught:
        FileSink("missing/a.log")
    assert str(caught.value) == (
        "cannot open the log file missing/a.log: no such file or directory"
    )


def test_a_descriptor_and_stdio_get_the_lines() -> None:
    reader, writer = os.pipe()
    for text, options in ((f"fd:{writer}", {}), ("stdio", {"stdout": writer})):
        sink = opened(text, **options)
        sink.write(LINE)
        assert os.read(reader, 100) == LINE
        sink.close()
    os.close(reader)
    os.close(writer)


def test_datagrams_go_to_a_host(receiver: socket.socket) -> None:
    sink = opened(f"socket:127.0.0.1:{port_of(receiver)}")
    sink.write(LINE)
    assert receiver.recv(100) == LINE
    sink.close()


def test_datagrams_go_to_a_unix_socket_that_comes_later(tmp_path: Path) -> None:
    # Unix socket paths are short, the test's own path need not be.
    sink = DatagramSink("/proc/self/cwd/log.sock")
    sink.write(LINE)
    assert sink.dropped == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind("log.sock")
        sink.tick()
        sink.write(LINE)
        assert bound.recv(100) == LINE
    sink.close()


def test_a_receiver_that_is_full_or_gone_stops_nobody(receiver: socket.socket) -> None:
    sink = DatagramSink(f"127.0.0.1:{port_of(receiver)}")
    receiver.close()
    for _ in range(100):
        sink.write(LINE)
    assert sink.dropped > 0
    sink.close()


def test_syslog_lines_have_ident_facility_and_pid(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind("dev-log")
        options = {"syslog_socket": "/proc/self/cwd/dev-log"}
        for text, head in (
            ("syslog", "<30>{} uwsgi[{}]: "),
            ("syslog:myapp", "<30>{} myapp[{}]: "),
            ("syslog:myapp,local6", "<182>{} myapp[{}]: "),
        ):
            sink = opened(text, **options)
            before = time.strftime("%b %e %H:%M:%S")
            sink.write(LINE)
            after = time.strftime("%b %e %H:%M:%S")
            assert bound.recv(200).decode() in {
                head.format(date, os.getpid()) + "a message" for date in (before, after)
            }
            sink.close()


def test_remote_syslog_lines_look_like_those_of_uwsgi(receiver: socket.socket) -> None:
    address = f"127.0.0.1:{port_of(receiver)}"
    for text, expected in (
        (f"rsyslog:{address},myid", rb"<29>\w{3} [ \d]\d [\d:]{8} myid: a message"),
        (f"rsyslog:{address},myid,14", rb"<14>\w{3} [ \d]\d [\d:]{8} myid: a message"),
        (f"rsyslog:{address}", rb"<29>\w{3} [ \d]\d [\d:]{8} uwsgi: a message"),
    ):
        sink = opened(text)
        sink.write(LINE)
        assert re.fullmatch(expected, receiver.recv(200))
        sink.close()


def test_long_lines_to_a_remote_syslog_are_cut_or_split(
    receiver: socket.socket,
) -> None:
    text = f"rsyslog:127.0.0.1:{port_of(receiver)},id"
    long = b"0123456789" * 5 + b"\n"
    cut = opened(text, rsyslog_packet_size=54)
    cut.write(long)
    assert receiver.recv(100).endswith(b" id: " + long[:30])
    cut.close()
    split = opened(text, rsyslog_packet_size=54, rsyslog_split=True)
    split.write(long)
    assert receiver.recv(100).endswith(b" id: " + long[:30])
    assert receiver.recv(100).endswith(b" id: " + long[30:50])
    split.close()


@pytest.fixture
def redis() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server


PUSHED = b"*3\r\n$5\r\nrpush\r\n$4\r\nlogs\r\n$11\r\np-a message\r\n"


def read_exactly(connected: socket.socket, size: int) -> bytes:
    connected.settimeout(5)
    with connected.makefile("rb") as file:
        return file.read(size)


def test_redis_gets_a_command_for_each_line(redis: socket.socket) -> None:
    sink = opened(f"redislog:127.0.0.1:{port_of(redis)},rpush logs,p-")
    connected, _ = redis.accept()
    with connected:
        for _ in range(3):
            sink.write(LINE)
            connected.sendall(b":1\r\n")
        sink.tick()
        assert read_exactly(connected, 3 * len(PUSHED)) == PUSHED * 3
    sink.close()


def test_lines_wait_for_a_redis_that_is_away(redis: socket.socket) -> None:
    sink = RedisSink(f"127.0.0.1:{port_of(redis)}", "rpush logs", "p-")
    first, _ = redis.accept()
    first.close()
    for _ in range(50):
        sink.write(LINE)
        sink.tick()
    second, _ = redis.accept()
    sink.tick()
    with second:
        assert read_exactly(second, len(PUSHED)) == PUSHED
    sink.close()


def test_a_redis_that_does_not_read_stops_nobody(redis: socket.socket) -> None:
    sink = RedisSink(f"127.0.0.1:{port_of(redis)}", "rpush logs", "")
    for _ in range(2000):
        sink.write(b"x" * 10000 + b"\n")
    assert sink.dropped > 0
    sink.close()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "zeromq:tcp://1.2.3.4",
            "unable to find logger zeromq (known: fd, file, redislog, rsyslog, socket,"
            " stdio, syslog)",
        ),
        ("fd:x", "the logger fd needs a number, not 'x'"),
        ("file:", "the logger file needs a path (file:/var/log/app.log)"),
        ("file:logfile=a,maxsize=x", "the logger file has a malformed maxsize 'x'"),
        ("socket:", "the logger socket needs an address (socket:host:port)"),
        ("socket:h:x", "malformed port in the log address 'h:x'"),
        ("syslog:a,nowhere", "unknown syslog facility 'nowhere'"),
        ("rsyslog:h:1,a,x", "the logger rsyslog has a malformed priority 'x'"),
    ],
)
def test_a_logger_that_cannot_be_meant_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_logger(text, LoggerOptions())
    assert str(caught.value) == sentence


class Memory:
    """A sink for the tests of streams."""

    def __init__(self, *, takes_many: bool = False) -> None:
        self.takes_many = takes_many
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def tick(self) -> None: ...
    def reopen(self) -> None: ...
    def rotate(self) -> None: ...
    def close(self) -> None: ...


def test_loggers_without_id_get_all_and_others_what_is_routed() -> None:
    every, errors = Memory(), Memory()
    stream = Stream(
        [("", every), ("err", errors)],
        encoders=[compile_encoder("prefix:err E ")],
        routes=[compile_route("err (?i)error", "log-route")],
    )
    for line in (b"fine\n", b"an Error\n"):
        stream.write(line)
    assert every.lines == [b"fine\n", b"an Error\n"]
    assert errors.lines == [b"E an Error\n"]


def test_lines_are_split_where_somebody_has_to_look_at_them() -> None:
    one_by_one, at_once = Memory(), Memory(takes_many=True)
    Stream([("", one_by_one)]).write_lines(b"one\rtwo\nthree\n")
    Stream([("", at_once)]).write_lines(b"one\ntwo\n")
    assert one_by_one.lines == [b"one\rtwo\n", b"three\n"]
    assert at_once.lines == [b"one\ntwo\n"]
    encoded = Memory(takes_many=True)
    encoder = compile_encoder("prefix > ")
    Stream([("", encoded)], encoders=[encoder]).write_lines(b"one\ntwo\n")
    assert encoded.lines == [b"> one\n", b"> two\n"]


def test_lines_may_be_kept_or_dropped_by_pattern() -> None:
    sink = Memory()
    stream = Stream(
        [("", sink)],
        keep=[compile_pattern("GET|POST", "log-filter")],
        drop=[compile_pattern("/health", "log-drain")],
    )
    for line in (b"GET /\n", b"GET /health\n", b"PUT /\n", b"POST /\n"):
        stream.write(line)
    assert sink.lines == [b"GET /\n", b"POST /\n"]


def test_routes_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ConfigError, match="log-route: 'err' is not a logger id"):
        compile_route("err", "log-route")
    with pytest.raises(ConfigError, match=r"log-route: malformed regexp '\('"):
        compile_route("err (", "log-route")
    with pytest.raises(ConfigError, match="there is no logger with the id 'err'"):
        Stream([("", Memory())], routes=[compile_route("err x", "log-route")])
