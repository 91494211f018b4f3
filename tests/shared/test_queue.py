from __future__ import annotations

import json
import os
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import StartupError
from geuwsgi.shared.queue import SharedQueue


def test_a_full_ring_forgets_the_oldest() -> None:
    queue = SharedQueue.create(3, 64)
    for number in range(5):
        assert queue.push(b"%d" % number)
    assert [queue.pull() for _ in range(4)] == [b"2", b"3", b"4", None]


def test_taking_from_an_empty_ring_moves_nothing() -> None:
    queue = SharedQueue.create(3, 64)
    assert (queue.pop(), queue.pull()) == (None, None)
    assert (queue.write_slot, queue.read_slot) == (0, 0)
    queue.push(b"a")
    assert queue.pull() == b"a"


@given(
    st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=48).map(lambda text: ("push", text)),
            st.sampled_from([("pull", b""), ("pop", b"")]),
        )
    )
)
def test_it_is_a_bounded_deque(operations: list[tuple[str, bytes]]) -> None:
    queue = SharedQueue.create(4, 64)
    model: deque[bytes] = deque(maxlen=4)
    for name, text in operations:
        if name == "push":
            assert queue.push(text)
            model.append(text)
        elif name == "pull":
            assert queue.pull() == (model.popleft() if model else None)
        else:
            assert queue.pop() == (model.pop() if model else None)
        padding: list[bytes | None] = [None] * (4 - len(model))
        assert queue.last(9) == [*reversed(model), *padding]


def test_a_store_keeps_the_messages(tmp_path: Path) -> None:
    path = tmp_path / "queue"
    queue = SharedQueue.create(4, 64, str(path))
    queue.push(b"a")
    queue.push(b"b")
    queue.pull()
    queue.close()
    again = SharedQueue.create(4, 64, str(path))
    assert [again.pull(), again.pull()] == [b"b", None]
    with pytest.raises(StartupError, match="another instance has it open"):
        SharedQueue.create(4, 64, str(path))
    again.close()
    with pytest.raises(StartupError, match="it holds something else"):
        SharedQueue.create(5, 64, str(path))
    path.write_bytes(b"garbage")
    with pytest.raises(StartupError, match="it holds something else"):
        SharedQueue.create(4, 64, str(path))


def test_impossible_lengths_in_a_store_are_emptied(tmp_path: Path) -> None:
    path = tmp_path / "queue"
    queue = SharedQueue.create(4, 64, str(path))
    queue.push(b"a")
    queue.push(b"b")
    queue.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8)
    again = SharedQueue.create(4, 64, str(path))
    assert [again.get(slot) for slot in range(4)] == [None, b"b", None, None]
    again.close()


def test_another_process_sees_the_messages() -> None:
    queue = SharedQueue.create(4, 64)
    wire = json.loads(json.dumps(queue.to_wire()))
    wire["region"]["fd"] = os.dup(queue.region.fd)
    other = SharedQueue.from_wire(wire)
    queue.push(b"message")
    assert other.pop() == b"message"
    assert queue.pop() is None
