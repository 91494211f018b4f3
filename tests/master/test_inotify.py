from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.master.inotify import Inotify

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="not on this system: inotify"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "watched"
    path.write_text("one")
    return path


@pytest.fixture
def inotify(file: Path) -> Iterator[Inotify]:
    watching = Inotify()
    watching.add(str(file))
    yield watching
    watching.close()


def test_what_happens_to_a_file_is_told_once(inotify: Inotify, file: Path) -> None:
    assert inotify.read() == []
    file.write_text("two")
    file.chmod(0o600)
    assert inotify.read() == [str(file)]
    assert inotify.read() == []


def test_a_file_that_is_replaced_goes_on_being_watched(
    inotify: Inotify, file: Path
) -> None:
    for text in ("two", "three"):
        fresh = file.with_name("fresh")
        fresh.write_text(text)
        fresh.rename(file)
        assert inotify.read() == [str(file)]
    file.touch()
    assert inotify.read() == [str(file)]


@pytest.mark.parametrize("goes", ["is removed", "is moved away"])
def test_a_file_that_comes_back_is_watched_again(
    inotify: Inotify, file: Path, goes: str
) -> None:
    if goes == "is removed":
        file.unlink()
    else:
        file.rename(file.with_name("elsewhere"))
    # What ends the watch may come with the next reading.
    assert inotify.read() + inotify.read() in ([str(file)], [str(file), str(file)])
    assert inotify.find_again() == []
    file.write_text("two")
    assert inotify.find_again() == [str(file)]
    assert inotify.find_again() == []
    file.write_text("three")
    assert inotify.read() == [str(file)]
