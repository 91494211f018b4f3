from __future__ import annotations

import gevent
import pytest

from geuwsgi.api.sharedarea import area_functions
from geuwsgi.shared.areas import SharedAreas
from tests.api.answers import compare


def test_areas_answer_as_uwsgi() -> None:
    areas = SharedAreas.create(["1"], ["100"])
    assert compare("sharedarea", area_functions(areas)) == []


def test_a_py_sharedarea_gives_its_memory() -> None:
    api = area_functions(SharedAreas.create([], ["100"]))
    memory = api["sharedarea_object"](0)
    assert len(memory) == 100
    memory[3:6] = b"abc"
    assert api["sharedarea_read"](0, 2, 5) == b"\0abc\0"


@pytest.mark.parametrize("position", [-1, 1 << 70])
def test_places_outside_are_refused(position: int) -> None:
    api = area_functions(SharedAreas.create(["1"]))
    for name in ("sharedarea_read", "sharedarea_read32", "sharedarea_inc64"):
        with pytest.raises(ValueError, match=f"error calling uwsgi_{name}"):
            api[name](0, position)
    with pytest.raises(ValueError, match="error calling"):
        api["sharedarea_read"](-1, 0)


def test_waiting_ends_with_an_update_or_after_a_time() -> None:
    api = area_functions(SharedAreas.create(["1", "1"]))
    waiting = gevent.spawn(api["sharedarea_wait"], 1, 1)
    gevent.sleep(0.002)
    api["sharedarea_update"](0)
    gevent.sleep(0.005)
    assert not waiting.ready()
    api["sharedarea_update"](1)
    assert waiting.get(timeout=20) is True


def test_readers_share_the_lock_and_a_writer_does_not() -> None:
    api = area_functions(SharedAreas.create(["1"]))
    done = []

    def read(name: str) -> None:
        api["sharedarea_rlock"](0)
        done.append(name)

    def write() -> None:
        api["sharedarea_wlock"](0)
        done.append("writer")
        api["sharedarea_unlock"](0)

    gevent.joinall([gevent.spawn(read, "a"), gevent.spawn(read, "b")], timeout=20)
    writer = gevent.spawn(write)
    gevent.sleep(0.002)
    assert done == ["a", "b"]
    api["sharedarea_unlock"](0)
    api["sharedarea_unlock"](0)
    writer.get(timeout=20)
    assert done == ["a", "b", "writer"]
