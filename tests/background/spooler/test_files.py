from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.background.spooler.files import (
    SpoolError,
    Task,
    TaskFile,
    TaskWriter,
    decode_task,
    read_task,
    scan,
)


@pytest.fixture
def writer() -> TaskWriter:
    return TaskWriter("host")


def test_a_task_is_the_packet_of_uwsgi(writer: TaskWriter, tmp_path: Path) -> None:
    path = writer.write(str(tmp_path), {b"a": b"b", b"c": b""}, body=b"text")
    name = Path(path).name
    assert name.startswith(f"uwsgi_spoolfile_on_host_{os.getpid()}_1_")
    assert Path(path).read_bytes() == b"\x11\x0b\0\0\1\0a\1\0b\1\0c\0\0text"
    assert read_task(path) == Task(path, {b"a": b"b", b"c": b""}, b"text")
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_names_are_all_different(writer: TaskWriter, tmp_path: Path) -> None:
    paths = {writer.write(str(tmp_path), {b"a": b"b"}) for _ in range(50)}
    assert len(paths) == 50
    assert set(scan(str(tmp_path))) == paths


def test_priorities_come_first_in_their_order(
    writer: TaskWriter, tmp_path: Path
) -> None:
    directory = str(tmp_path)
    expected = [
        writer.write(directory, {}, priority=priority)
        for priority in ("1", "2", "10", "abc", "")
    ]
    (tmp_path / "other file").touch()
    (tmp_path / "empty").mkdir()
    assert list(scan(directory)) == expected


def test_ordered_means_by_name(writer: TaskWriter, tmp_path: Path) -> None:
    for _ in range(20):
        writer.write(str(tmp_path), {})
    found = list(scan(str(tmp_path), ordered=True))
    assert found == sorted(found)


@pytest.mark.parametrize("priority", ["..", ".", "a/b", "a\0b"])
def test_a_priority_does_not_lead_elsewhere(
    writer: TaskWriter, tmp_path: Path, priority: str
) -> None:
    with pytest.raises(SpoolError, match="a priority is a name"):
        writer.write(str(tmp_path), {}, priority=priority)


def test_too_much_is_refused(writer: TaskWriter, tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="more than 65535 bytes"):
        writer.write(str(tmp_path), {b"a": b"x" * 65536})
    with pytest.raises(SpoolError, match="bytes are too many"):
        writer.write(str(tmp_path), {b"a": b"x" * 40000, b"b": b"x" * 40000})
    with pytest.raises(SpoolError, match="cannot write"):
        writer.write(str(tmp_path / "missing"), {})
    assert list(tmp_path.iterdir()) == []


def test_large_bodies_are_whole(writer: TaskWriter, tmp_path: Path) -> None:
    body = os.urandom(1_000_000)
    assert read_task(writer.write(str(tmp_path), {}, body=body)).body == body


@given(st.binary(max_size=40))
def test_garbage_is_no_task(octets: bytes) -> None:
    try:
        task = decode_task("path", octets)
    except SpoolError as exc:
        assert "path" in str(exc)
        return
    assert octets[0] == 17
    assert isinstance(task.fields, dict)


def test_a_task_is_claimed_by_one_process(writer: TaskWriter, tmp_path: Path) -> None:
    path = writer.write(str(tmp_path), {b"a": b"b"})
    file = TaskFile.claim(path, time.time())
    assert file is not None
    pid = os.fork()
    if not pid:
        os._exit(TaskFile.claim(path, time.time()) is not None)
    assert os.waitpid(pid, 0)[1] == 0
    assert file.read().fields == {b"a": b"b"}
    file.remove()
    file.close()
    assert TaskFile.claim(path, time.time()) is None


def test_a_task_waits_for_its_time(writer: TaskWriter, tmp_path: Path) -> None:
    later = time.time() + 2000.0
    path = writer.write(str(tmp_path), {}, at=later)
    assert TaskFile.claim(path, later - 1.0) is None
    file = TaskFile.claim(path, later + 0.1)
    assert file is not None
    file.close()


def test_a_clock_that_goes_back_makes_no_task_wait(
    writer: TaskWriter, tmp_path: Path
) -> None:
    file = TaskFile.claim(writer.write(str(tmp_path), {}), time.time() - 86_400)
    assert file is not None
    file.close()


def test_what_was_never_finished_goes_after_an_hour(tmp_path: Path) -> None:
    old, new = tmp_path / ".writing_old", tmp_path / ".writing_new"
    old.touch()
    new.touch()
    os.utime(old, (1, 1))
    assert list(scan(str(tmp_path))) == []
    assert list(tmp_path.iterdir()) == [new]


def test_a_directory_that_is_gone_has_no_tasks(tmp_path: Path) -> None:
    assert list(scan(str(tmp_path / "missing"))) == []
