from __future__ import annotations

import random

import pytest

from geuwsgi.cache.geometry import COUNT, EVICTED, EXPIRED, FULL, SEQUENCE, TICK
from geuwsgi.cache.outcome import Outcome
from geuwsgi.cache.reading import compiled_reader
from geuwsgi.cache.slots import EVICTION_WINDOW, NEVER, NEXT, SWEEP_LIMIT
from geuwsgi.cache.table import Table
from geuwsgi.cache.verify import find_damage
from geuwsgi.shared.arithmetic import Arithmetic
from tests.cache.tables import Clock, copy_table, make_geometry, make_table


@pytest.fixture(params=["compiled", "lock-free", "locked"])
def table(request: pytest.FixtureRequest) -> Table:
    if request.param == "compiled" and compiled_reader() is None:
        pytest.skip("geuwsgi was installed without compiling")
    return make_table(
        lock_free=request.param != "locked", compiled=request.param == "compiled"
    )


def test_what_was_stored_is_found(table: Table) -> None:
    assert table.set(b"key", b"value") is Outcome.STORED
    assert table.get(b"key") == b"value"
    assert table.exists(b"key")
    assert table.get(b"other") is None
    assert not table.exists(b"other")


def test_set_stores_only_under_a_new_key(table: Table) -> None:
    table.set(b"key", b"old")
    assert table.set(b"key", b"new") is Outcome.EXISTS
    assert table.get(b"key") == b"old"
    assert table.update(b"key", b"new") is Outcome.STORED
    assert table.get(b"key") == b"new"


def test_keys_that_differ_in_trailing_zeros_are_different(table: Table) -> None:
    table.set(b"a", b"1")
    table.set(b"a\0", b"2")
    table.set(b"\0", b"3")
    assert [table.get(key) for key in (b"a", b"a\0", b"\0")] == [b"1", b"2", b"3"]
    assert table.get(b"\0\0") is None


def test_a_longer_and_a_shorter_value_take_the_place_of_the_old(table: Table) -> None:
    for value in (b"middle", b"x" * 64, b"y", b"again"):
        assert table.update(b"key", value) is Outcome.STORED
        assert table.get(b"key") == value


@pytest.mark.parametrize("key", [b"", b"k" * 33])
def test_an_empty_or_long_key_is_refused(table: Table, key: bytes) -> None:
    assert table.set(key, b"value") is Outcome.BAD_KEY
    assert table.update(key, b"value") is Outcome.BAD_KEY
    assert table.change(key, Arithmetic.INC, 1) is Outcome.BAD_KEY
    assert table.get(key) is None
    assert table.delete(key) is Outcome.MISSING


@pytest.mark.parametrize("value", [b"", b"v" * 65])
def test_an_empty_or_long_value_is_refused(table: Table, value: bytes) -> None:
    assert table.update(b"key", value) is Outcome.BAD_VALUE
    assert table.get(b"key") is None


def test_the_longest_key_and_value_fit(table: Table) -> None:
    assert table.set(b"k" * 32, b"v" * 64) is Outcome.STORED
    assert table.get(b"k" * 32) == b"v" * 64


def test_a_full_table_refuses_new_keys_and_says_so(table: Table) -> None:
    for number in range(8):
        assert table.set(b"%d" % number, b"x") is Outcome.STORED
    assert table.set(b"ninth", b"x") is Outcome.FULL
    assert table.update(b"3", b"y") is Outcome.STORED
    assert table.counter(FULL) == 1
    assert table.delete(b"0") is Outcome.STORED
    assert table.set(b"ninth", b"x") is Outcome.STORED


def test_a_deleted_key_is_gone(table: Table) -> None:
    table.set(b"a", b"1")
    table.set(b"b", b"2")
    assert table.delete(b"a") is Outcome.STORED
    assert table.delete(b"a") is Outcome.MISSING
    assert table.keys() == [b"b"]
    assert table.counter(COUNT) == 1


def test_clear_removes_everything(table: Table) -> None:
    for number in range(8):
        table.set(b"%d" % number, b"x", 2000.0)
    table.clear()
    assert table.keys() == []
    assert not table.is_sweep_due()
    for number in range(8):
        assert table.set(b"%d" % number, b"y") is Outcome.STORED
    assert find_damage(table) == ""


def test_an_item_is_not_seen_after_its_end() -> None:
    clock = Clock()
    table = make_table(clock=clock)
    table.set(b"key", b"value", 1010.0)
    clock.now = 1009.9
    assert table.get(b"key") == b"value"
    clock.now = 1010.0
    assert table.get(b"key") is None
    assert not table.exists(b"key")
    assert table.get_with_expiry(b"key") is None
    assert table.delete(b"key") is Outcome.MISSING
    assert table.keys() == []
    assert table.set(b"key", b"new") is Outcome.STORED
    assert table.get_with_expiry(b"key") == (b"new", NEVER)


def test_sweeping_frees_what_has_ended_and_nothing_else() -> None:
    clock = Clock()
    table = make_table(clock=clock)
    table.set(b"soon", b"x", 1001.0)
    table.set(b"later", b"x", 1002.0)
    table.set(b"never", b"x")
    assert table.sweep() == 0
    clock.now = 1001.5
    assert table.sweep() == 1
    assert not table.is_sweep_due()
    assert table.counter(COUNT) == 2
    clock.now = 1003.0
    assert table.is_sweep_due()
    assert table.sweep() == 1
    assert table.counter(EXPIRED) == 2
    assert table.keys() == [b"never"]


def test_sweeping_a_large_table_takes_several_short_steps() -> None:
    clock = Clock()
    table = make_table(make_geometry(10_000, blocksize=8, keysize=8), clock=clock)
    for number in range(10_000):
        table.set(b"%d" % number, b"x", 1001.0 if number % 50 == 0 else NEVER)
    clock.now = 1002.0
    removed = []
    while table.is_sweep_due():
        removed.append(table.sweep())
    assert sum(removed) == 200
    assert max(removed) <= SWEEP_LIMIT
    assert 2 < len(removed) < 10
    assert find_damage(table) == ""


def test_a_full_table_makes_room_of_what_has_ended() -> None:
    clock = Clock()
    table = make_table(clock=clock)
    for number in range(8):
        table.set(b"%d" % number, b"x", 1001.0)
    assert table.set(b"new", b"x") is Outcome.FULL
    clock.now = 1001.0
    assert table.set(b"new", b"x") is Outcome.STORED
    assert table.keys() == [b"new"]


def test_clear_on_full_begins_anew() -> None:
    table = make_table(clear_on_full=True)
    for number in range(8):
        table.set(b"%d" % number, b"x")
    assert table.set(b"new", b"x") is Outcome.STORED
    assert table.keys() == [b"new"]


@pytest.mark.parametrize("lock_free", [True, False])
def test_the_least_recently_used_item_makes_room(lock_free: bool) -> None:
    table = make_table(purge_lru=True, lock_free=lock_free)
    for number in range(8):
        table.set(b"%d" % number, b"x")
    table.get(b"0")
    table.update(b"1", b"y")
    table.get(b"3")
    for new in (b"a", b"b", b"c"):
        assert table.set(new, b"x") is Outcome.STORED
    assert sorted(table.keys()) == [b"0", b"1", b"3", b"6", b"7", b"a", b"b", b"c"]
    assert table.counter(EVICTED) == 3


def test_eviction_in_a_large_table_never_takes_recent_items() -> None:
    items = EVICTION_WINDOW * 8
    table = make_table(make_geometry(items, blocksize=8, keysize=8), purge_lru=True)
    for number in range(items * 3):
        assert table.set(b"%d" % number, b"x") is Outcome.STORED
        table.get(b"0")
    assert table.get(b"0") == b"x"
    numbers = sorted(map(int, table.keys()))
    assert len(numbers) == items
    recent = set(range(items * 3 - items // 2, items * 3))
    assert len(recent - set(numbers)) < items // 50


def test_numbers_are_changed_in_place(table: Table) -> None:
    assert table.change(b"n", Arithmetic.INC, 5) is Outcome.STORED
    assert table.number(b"n") == 5
    table.change(b"n", Arithmetic.DEC, 12)
    assert table.number(b"n") == -7
    table.change(b"n", Arithmetic.MUL, 3)
    table.change(b"n", Arithmetic.DIV, 2)
    assert table.number(b"n") == -10
    table.change(b"n", Arithmetic.DIV, 0)
    assert table.number(b"n") == 0
    assert table.get(b"n") == bytes(8)


def test_a_number_begins_where_it_is_told_and_keeps_its_end() -> None:
    clock = Clock()
    table = make_table(clock=clock)
    table.change(b"n", Arithmetic.INC, 1, initial=7, expires=1001.0)
    table.change(b"n", Arithmetic.INC, 1, initial=7, expires=9999.0)
    assert table.get_with_expiry(b"n") == ((9).to_bytes(8, "little"), 1001.0)
    clock.now = 1001.0
    table.change(b"n", Arithmetic.INC, 1)
    assert table.get_with_expiry(b"n") == ((1).to_bytes(8, "little"), NEVER)


def test_a_text_is_changed_as_the_number_its_bytes_make(table: Table) -> None:
    table.set(b"n", b"3")
    assert table.number(b"n") == 0
    table.change(b"n", Arithmetic.INC, 1)
    assert table.number(b"n") == 0x34
    table.update(b"n", b"123456789")
    table.change(b"n", Arithmetic.INC, 1)
    assert table.get(b"n") == b"22345678"


def test_numbers_wrap_at_64_bits(table: Table) -> None:
    table.change(b"n", Arithmetic.INC, (1 << 63) - 1)
    table.change(b"n", Arithmetic.INC, 2)
    assert table.number(b"n") == -(1 << 63) + 1


def test_hits_and_misses_are_counted_by_stripe() -> None:
    table = make_table()
    table.set(b"key", b"value")
    for stripe in (0, 1, 63):
        table.count_in(stripe)
        table.get(b"key")
        table.get(b"key")
        table.get(b"other")
    assert (table.hits(), table.misses()) == (6, 3)


def test_entries_tell_everything() -> None:
    table = make_table(make_geometry(600, blocksize=8, keysize=8))
    expected = {}
    for number in range(600):
        expected[b"%d" % number] = (b"v%d" % number, 2000.0 + number)
        table.set(b"%d" % number, *expected[b"%d" % number])
    for number in range(0, 600, 3):
        table.delete(b"%d" % number)
        del expected[b"%d" % number]
    assert {key: (value, end) for key, value, end in table.entries()} == expected


class TestBitmap:
    @pytest.fixture
    def table(self) -> Table:
        geometry = make_geometry(10, blocks=12, blocksize=10, bitmap=True)
        return make_table(geometry)

    def test_a_value_takes_as_many_blocks_as_it_needs(self, table: Table) -> None:
        assert table.set(b"a", b"x" * 25) is Outcome.STORED
        assert table.set(b"b", b"x" * 30) is Outcome.STORED
        assert table.set(b"c", b"x" * 40) is Outcome.STORED
        assert table.set(b"d", b"x" * 21) is Outcome.FULL
        assert table.set(b"e", b"x" * 121) is Outcome.BAD_VALUE
        assert table.get(b"a") == b"x" * 25
        assert find_damage(table) == ""

    def test_an_update_moves_to_where_there_is_room(self, table: Table) -> None:
        table.set(b"a", b"x" * 30)
        table.set(b"b", b"y" * 30)
        assert table.update(b"a", b"z" * 60) is Outcome.STORED
        assert table.get(b"a") == b"z" * 60
        assert table.get(b"b") == b"y" * 30
        assert table.update(b"a", b"s") is Outcome.STORED
        assert table.set(b"c", b"x" * 60) is Outcome.STORED
        assert find_damage(table) == ""

    def test_an_update_may_use_the_blocks_it_has(self, table: Table) -> None:
        table.set(b"a", b"x" * 70)
        assert table.update(b"a", b"y" * 120) is Outcome.STORED
        assert table.get(b"a") == b"y" * 120
        assert find_damage(table) == ""

    def test_an_update_that_finds_no_room_leaves_the_old_value(
        self, table: Table
    ) -> None:
        table.set(b"a", b"x" * 30)
        table.set(b"b", b"x" * 70)
        assert table.update(b"a", b"y" * 51) is Outcome.FULL
        assert table.get(b"a") == b"x" * 30
        assert find_damage(table) == ""

    def test_eviction_makes_room_for_a_large_value(self, table: Table) -> None:
        table = copy_table(table, purge_lru=True)
        for number in range(10):
            table.set(b"%d" % number, b"x" * 10)
        table.get(b"0")
        assert table.update(b"9", b"y" * 60) is Outcome.STORED
        assert table.get(b"9") == b"y" * 60
        assert table.get(b"0") == b"x" * 10
        assert find_damage(table) == ""

    def test_a_late_reader_does_not_have_a_free_item_freed_again(
        self, table: Table
    ) -> None:
        table.purge_lru = True
        for number in range(6):
            table.set(b"%d" % number, b"x" * 20)
        item = table._find(b"3", table._hash(b"3"))
        table.delete(b"3")
        # What a reader does that was interrupted before it noted its use.
        table._ticks[item] = 1
        for number in range(100, 110):
            assert table.set(b"%d" % number, b"x" * 30) is Outcome.STORED
            assert find_damage(table) == ""


def test_short_keys_that_begin_alike_are_spread_over_the_buckets() -> None:
    table = make_table(make_geometry(2000))
    for number in range(1000):
        table.set(b"key-%d" % number, b"value")
    longest = 0
    for bucket in range(table.geometry.buckets):
        length, item = 0, table._buckets[bucket]
        while item:
            length, item = length + 1, table._words[table.word(item, NEXT)]
        longest = max(longest, length)
    assert longest < 20


def test_what_is_compiled_finds_keys_of_every_length() -> None:
    if compiled_reader() is None:
        pytest.skip("geuwsgi was installed without compiling")
    table = make_table(make_geometry(400, keysize=300))
    generator = random.Random(11)
    keys = [generator.randbytes(length) for length in range(1, 300)]
    keys += [b"\0" * length for length in range(1, 300, 50)]
    for key in keys:
        assert table.update(key, key[:64]) is Outcome.STORED
    for key in keys:
        assert table.get(key) == table._get(key) == key[:64]
        assert table.get(key + b"\1") is None
    assert table.get(b"") is None
    assert table.get(b"k" * 1000) is None
    assert table.hits() == 2 * len(keys)


def test_what_is_compiled_reads_nothing_outside_of_damaged_memory() -> None:
    if compiled_reader() is None:
        pytest.skip("geuwsgi was installed without compiling")
    generator = random.Random(12)
    for _ in range(200):
        table = make_table(make_geometry(8), compiled=False)
        for number in range(8):
            table.set(b"key-%d" % number, b"value" * number or b"v")
        memory = table._memory
        end = table.geometry.size
        for _ in range(20):
            at = generator.randrange(table.geometry.buckets_at, end - 8)
            memory[at : at + 8] = generator.randbytes(8)
        reader_class = compiled_reader()
        assert reader_class is not None
        reader = reader_class(
            memory,
            table.geometry,
            largest=table.largest_value,
            sequence=SEQUENCE,
            tick=TICK,
            purge_lru=True,
            ask=lambda key, wanted: None,
            clock=lambda: 0.0,
        )
        for number in range(8):
            key = b"key-%d" % number
            value = reader.get(key)
            assert value is None or len(value) <= table.largest_value
