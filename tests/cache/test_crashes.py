"""A writer may end after any instruction: every one of them is tried."""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from geuwsgi.cache.geometry import REPAIRS, UNFINISHED
from geuwsgi.cache.slots import (
    CHANGED,
    CHANGED_AT,
    INSERT,
    NEXT,
    RECORD,
    UPDATE,
)
from geuwsgi.cache.table import Table
from geuwsgi.cache.verify import find_damage
from geuwsgi.shared.arithmetic import Arithmetic
from tests.cache.tables import copy_table, make_geometry, make_table


class Killed(BaseException):
    pass


def run_until(step: int, function: Callable[[], object]) -> bool:
    """Run a function and stop it before its ``step``-th instruction; False if ended."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.endswith(("table.py", "slots.py")):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            count += 1
            if count == step:
                raise Killed
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except Killed:
        return True
    finally:
        sys.settrace(before)
    return False


def kill(table: Table, step: int, operation: Callable[[Table], object]) -> bool:
    """Have a writer end before an instruction, as if it were killed there."""
    killed = run_until(step, lambda: operation(table))
    # The kernel takes the lock from the dead.
    table.mutex.unlock(table.mutex.ref)
    return killed


@pytest.fixture(scope="module", autouse=True)
def _tracing_works() -> None:
    # CPython 3.12 does not report the instructions of the first function that asks.
    run_until(10**9, lambda: plain().set(b"x", b"y"))


def plain() -> Table:
    table = make_table(make_geometry(6, blocksize=16, keysize=8))
    for key in (b"a", b"b", b"c", b"d"):
        table.set(key, b"old-" + key, 5000.0)
    table.delete(b"b")
    return table


def full() -> Table:
    table = make_table(make_geometry(6, blocksize=16, keysize=8), purge_lru=True)
    for key in (b"a", b"b", b"c", b"d", b"e", b"f"):
        table.set(key, b"old-" + key)
    return table


def bitmap() -> Table:
    geometry = make_geometry(6, blocks=9, blocksize=4, keysize=8, bitmap=True)
    table = make_table(geometry)
    for key in (b"a", b"b", b"c"):
        table.set(key, b"old-" + key)
    table.delete(b"b")
    return table


OPERATIONS: dict[str, tuple[Callable[[], Table], Callable[[Table], object], set[bytes]]]
OPERATIONS = {
    "insert": (plain, lambda t: t.set(b"new", b"value"), {b"new"}),
    "insert reusing": (plain, lambda t: t.set(b"b", b"value", 4000.0), {b"b"}),
    "update": (plain, lambda t: t.update(b"c", b"value"), {b"c"}),
    "delete": (plain, lambda t: t.delete(b"c"), {b"c"}),
    "change": (plain, lambda t: t.change(b"n", Arithmetic.INC, 3), {b"n"}),
    "clear": (plain, lambda t: t.clear(), {b"a", b"c", b"d"}),
    "evict": (full, lambda t: t.set(b"new", b"value"), {b"new", b"a"}),
    "move to free blocks": (bitmap, lambda t: t.update(b"a", b"x" * 12), {b"a"}),
    "move over own blocks": (bitmap, lambda t: t.update(b"c", b"y" * 25), {b"c"}),
    "move without room": (bitmap, lambda t: t.update(b"c", b"y" * 36), {b"c"}),
    "insert blocks": (bitmap, lambda t: t.set(b"new", b"z" * 12), {b"new"}),
    "delete blocks": (bitmap, lambda t: t.delete(b"a"), {b"a"}),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_write_that_ends_anywhere_loses_at_most_its_item(name: str) -> None:
    build, operation, touched = OPERATIONS[name]
    original = build()
    before = {key: value for key, value, _ in original.entries()}
    finished = copy_table(original)
    operation(finished)
    after = {key: value for key, value, _ in finished.entries()}
    repairs = 0
    step = 1
    while True:
        torn = copy_table(original)
        if not kill(torn, step, operation):
            break
        survivor = copy_table(torn)
        assert find_damage(survivor) == "", f"after {step} instructions"
        repairs += survivor.counter(REPAIRS)
        left = {key: value for key, value, _ in survivor.entries()}
        for key in before.keys() | after.keys():
            if key in touched:
                assert left.get(key) in (None, before.get(key), after.get(key))
            else:
                assert left.get(key) == before[key]
        operation(survivor)
        assert find_damage(survivor) == ""
        step += 1
    assert step > 50
    assert repairs or name == "move without room"


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_record_that_is_half_packed_is_repaired(name: str) -> None:
    """``pack_into`` fills its place with zeros first; one may be killed right there."""
    build, operation, _ = OPERATIONS[name]
    original = build()
    tried = 0
    step = 1
    while True:
        torn = copy_table(original)
        if not kill(torn, step, operation):
            break
        step += 1
        note = torn._words[UNFINISHED]
        item = note >> 8
        at = torn._slots_at + item * torn._slot_size
        if note & 0xFF == UPDATE:
            size = CHANGED.size
            torn._memory[at + CHANGED_AT : at + CHANGED_AT + size] = bytes(size)
        elif note & 0xFF == INSERT and not is_in_chain(torn, item):
            torn._memory[at : at + RECORD.size] = bytes(RECORD.size)
        else:
            continue
        tried += 1
        survivor = copy_table(torn)
        assert find_damage(survivor) == "", f"after {step} instructions"
        operation(survivor)
        assert find_damage(survivor) == ""
    assert tried or "delete" in name or name == "clear"


def is_in_chain(table: Table, item: int) -> bool:
    for bucket in range(table.geometry.buckets):
        current = table._buckets[bucket]
        while current:
            if current == item:
                return True
            current = table._words[table.word(current, NEXT)]
    return False


def test_a_repair_that_ends_anywhere_is_repaired_again() -> None:
    original = plain()
    step = 1
    torn = []
    while True:
        copy = copy_table(original)
        if not kill(copy, step, lambda t: t.update(b"c", b"new")):
            break
        if copy._words[UNFINISHED]:
            torn.append(copy)
        step += 1
    assert len(torn) > 5
    for table in torn[:: len(torn) // 3]:
        step = 1
        while True:
            copy = copy_table(table)
            if not kill(copy, step, lambda t: t.exists(b"a")):
                break
            survivor = copy_table(copy)
            assert find_damage(survivor) == ""
            assert sorted(survivor.keys())[0] == b"a"
            step += 1


def test_a_repair_tells_which_key_was_lost() -> None:
    table = plain()
    told: list[bytes] = []
    step = 1
    while not told:
        copy = copy_table(table)
        assert kill(copy, step, lambda t: t.update(b"c", b"new"))
        survivor = copy_table(copy)
        survivor.on_repair = told.append
        survivor.get(b"c")
        survivor.exists(b"c")
        step += 1
    assert told == [b"c"]


def test_an_exception_from_a_signal_handler_does_not_keep_the_lock() -> None:
    table = plain()
    generator = random.Random(1)
    interrupted = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Killed

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(1500):
            try:
                signal.setitimer(signal.ITIMER_REAL, generator.uniform(1e-6, 1e-4))
                while True:
                    table.update(b"c", b"new")
                    table.delete(b"b")
                    table.change(b"b", Arithmetic.INC, 1)
                    table.exists(b"a")
            except Killed:
                interrupted += 1
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted == 1500
    assert table.mutex.holder() in (0, -1)
    assert table.get(b"a") == b"old-a"
    assert find_damage(table) == ""
    assert table.counter(REPAIRS) > 0
