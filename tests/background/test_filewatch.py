from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.background.filewatch import FileWatch


@pytest.fixture(params=["inotify", "looking"])
def watch(request: pytest.FixtureRequest) -> Iterator[FileWatch]:
    watch = FileWatch()
    if request.param == "looking":
        watch.close()
    elif watch.fileno() < 0:
        pytest.skip("this system has no inotify")
    yield watch
    watch.close()


def test_writing_is_noticed(watch: FileWatch, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("a")
    assert watch.add(1, bytes(one))
    assert watch.add(2, bytes(two))
    assert watch.changed() == set()
    two.write_text("longer")
    assert watch.changed() == {2}
    assert watch.changed() == set()


def test_a_file_in_a_directory_is_noticed(watch: FileWatch, tmp_path: Path) -> None:
    watch.add(1, bytes(tmp_path))
    os.utime(tmp_path, (1, 1))
    watch.changed()
    (tmp_path / "new").touch()
    assert watch.changed() == {1}


def test_a_file_may_come_later_and_go(watch: FileWatch, tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert not watch.add(1, bytes(path))
    assert watch.changed() == set()
    path.write_text("a")
    assert watch.changed() == {1}
    path.write_text("longer")
    assert watch.changed() == {1}
    path.unlink()
    assert watch.changed() == {1}
    assert watch.changed() == set()
    path.write_text("again, and longer")
    assert watch.changed() == {1}


def test_the_descriptor_tells(tmp_path: Path) -> None:
    watch = FileWatch()
    watch.add(1, bytes(tmp_path))
    assert select.select([watch], [], [], 0)[0] == []
    (tmp_path / "new").touch()
    assert select.select([watch], [], [], 1)[0] == [watch]
    watch.close()
