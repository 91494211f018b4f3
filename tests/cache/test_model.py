"""Any sequence of operations leaves the table as a dictionary would be."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from geuwsgi.cache.geometry import COUNT
from geuwsgi.cache.outcome import Outcome
from geuwsgi.cache.slots import NEVER
from geuwsgi.cache.table import Table
from geuwsgi.cache.verify import find_damage
from geuwsgi.shared.arithmetic import Arithmetic
from tests.cache.tables import Clock, make_geometry, make_table

ITEMS = 6
BLOCKSIZE = 8
keys = st.sampled_from([b"a", b"a\0", b"bb", b"c", b"dddddddd", b"e", b"f", b"g"])
values = st.binary(min_size=1, max_size=BLOCKSIZE)
large_values = st.binary(min_size=1, max_size=4 * BLOCKSIZE)
lifetimes = st.sampled_from([0.0, 1.0, 2.0, 5.0])


class Model(RuleBasedStateMachine):
    bitmap = False
    lru = False

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.model: dict[bytes, tuple[bytes, float]] = {}
        self.order: list[bytes] = []  # least recently used first

    @initialize(lock_free=st.booleans())
    def begin(self, lock_free: bool) -> None:
        geometry = make_geometry(
            ITEMS, blocks=9, blocksize=BLOCKSIZE, keysize=8, bitmap=self.bitmap
        )
        self.table: Table = make_table(
            geometry, clock=self.clock, purge_lru=self.lru, lock_free=lock_free
        )

    def ends(self, lifetime: float) -> float:
        return self.clock.now + lifetime if lifetime else NEVER

    def forget_ended(self) -> None:
        for key, (_, end) in list(self.model.items()):
            if end <= self.clock.now:
                del self.model[key]
                if key in self.order:
                    self.order.remove(key)

    def touch(self, key: bytes) -> None:
        if key in self.order:
            self.order.remove(key)
        self.order.append(key)

    def stored(self, key: bytes, value: bytes, end: float, outcome: Outcome) -> None:
        if outcome is Outcome.FULL:
            assert not self.lru
            if self.bitmap:
                assert len(value) > BLOCKSIZE or len(self.model) >= 2
            else:
                assert len(self.model) == ITEMS and key not in self.model
            return
        assert outcome is Outcome.STORED
        if self.lru and key not in self.model and len(self.model) == ITEMS:
            del self.model[self.order.pop(0)]
        self.model[key] = value, end
        self.touch(key)

    @rule(key=keys, value=values, lifetime=lifetimes)
    def update(self, key: bytes, value: bytes, lifetime: float) -> None:
        end = self.ends(lifetime)
        self.forget_ended()
        self.stored(key, value, end, self.table.update(key, value, end))

    @rule(key=keys, value=values, lifetime=lifetimes)
    def set(self, key: bytes, value: bytes, lifetime: float) -> None:
        end = self.ends(lifetime)
        self.forget_ended()
        outcome = self.table.set(key, value, end)
        if key in self.model:
            assert outcome is Outcome.EXISTS
        else:
            self.stored(key, value, end, outcome)

    @precondition(lambda self: self.bitmap)
    @rule(key=keys, value=large_values)
    def update_large(self, key: bytes, value: bytes) -> None:
        self.forget_ended()
        self.stored(key, value, NEVER, self.table.update(key, value))

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        self.forget_ended()
        value, _ = self.model.get(key, (None, 0.0))
        assert self.table.get(key) == value
        if value is not None:
            self.touch(key)

    @rule(key=keys)
    def delete(self, key: bytes) -> None:
        self.forget_ended()
        expected = Outcome.STORED if key in self.model else Outcome.MISSING
        assert self.table.delete(key) is expected
        self.model.pop(key, None)
        if key in self.order:
            self.order.remove(key)

    @rule(key=keys, arithmetic=st.sampled_from(Arithmetic), amount=st.integers(-9, 9))
    def change(self, key: bytes, arithmetic: Arithmetic, amount: int) -> None:
        self.forget_ended()
        old, end = self.model.get(key, (bytes(8), NEVER))
        number = int.from_bytes(old[:8], "little", signed=len(old) >= 8)
        value = arithmetic.apply(number, amount).to_bytes(8, "little", signed=True)
        self.stored(key, value, end, self.table.change(key, arithmetic, amount))

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def sweep(self) -> None:
        self.table.sweep()
        self.forget_ended()
        assert not self.table.is_sweep_due()
        assert self.table.counter(COUNT) == len(self.model)

    @rule()
    def clear(self) -> None:
        self.table.clear()
        self.model.clear()
        self.order.clear()

    @invariant()
    def the_table_is_whole(self) -> None:
        assert find_damage(self.table) == ""

    @invariant()
    def the_entries_are_the_same(self) -> None:
        self.forget_ended()
        entries = {key: (value, end) for key, value, end in self.table.entries()}
        assert entries == self.model


class BitmapModel(Model):
    bitmap = True


class LruModel(Model):
    lru = True


for machine in (Model, BitmapModel, LruModel):
    machine.TestCase.settings = settings(
        max_examples=60, stateful_step_count=40, deadline=None
    )
TestTable = Model.TestCase
TestBitmap = BitmapModel.TestCase
TestLru = LruModel.TestCase
