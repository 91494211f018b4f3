"""The cache's table: keys to values with an end, in memory shared by processes.

Pure logic over the memory; nothing here waits except for the mutex, and nothing here
switches greenlets.

How readers do without the mutex
    ``SEQUENCE`` is odd while a writer changes what a reader may look at and greater
    afterwards. A reader that sees it odd or changed takes the mutex. That needs loads
    and stores in program order between processors, which x86 promises; elsewhere
    ``lock_free`` is off and readers take the mutex.

``get`` and ``update`` are written out instead of composed: a call costs 50 ns, and
they are called a million times a second (``benchmarks/``). Where geuwsgi was compiled,
``_reader`` does ``get``.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from mmap import mmap

from geuwsgi.cache.geometry import (
    COUNT,
    EARLIEST_EXPIRY,
    FIRST_UNUSED,
    FULL,
    HITS,
    LAST_MODIFIED,
    MISSES,
    OLD_EXTENT,
    RECORD_SIZE,
    SEQUENCE,
    STRIPE_WORDS,
    STRIPES,
    STRIPES_AT,
    TICK,
    UNFINISHED,
    Geometry,
)
from geuwsgi.cache.outcome import Outcome
from geuwsgi.cache.reading import compiled_reader, stores_are_ordered
from geuwsgi.cache.slots import (
    CHANGED,
    CHANGED_AT,
    EXTENT,
    HASH,
    INSERT,
    NEVER,
    READ,
    RECORD,
    UPDATE,
    Slots,
)
from geuwsgi.shared.arithmetic import Arithmetic
from geuwsgi.shared.mutex import Mutex

_ENTRIES_AT_ONCE = 256
_INT64 = struct.Struct("<q")
_unpack_read = READ.unpack_from
_pack_changed = CHANGED.pack_into
_from_bytes = int.from_bytes


class Table(Slots):
    """One cache in shared memory, as one process sees it.

    Keys are ``bytes``, values are bytes-like. Expiry times are absolute, as the clock
    gives them; ``NEVER`` means none. An item whose time has come is nowhere to be
    seen, whether or not it was swept already.
    """

    __slots__ = (
        "_hits",
        "_lock_free",
        "_misses",
        "_prime",
        "_reader",
        "_salt",
        "get",
        "largest_value",
    )

    def __init__(
        self,
        memory: mmap,
        geometry: Geometry,
        mutex: Mutex,
        *,
        fresh: bool,
        purge_lru: bool = False,
        clear_on_full: bool = False,
        last_modified: bool = False,
        lock_free: bool | None = None,
        compiled: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Look at ``memory`` as a table; ``fresh`` memory is all zero and is set up."""
        super().__init__(
            memory,
            geometry,
            mutex,
            fresh=fresh,
            purge_lru=purge_lru,
            clear_on_full=clear_on_full,
            last_modified=last_modified,
            clock=clock,
        )
        self.largest_value = geometry.blocksize * (
            geometry.blocks if geometry.bitmap else 1
        )
        self._prime = geometry.hash_prime
        self._salt = geometry.hash_salt
        if lock_free is None:
            lock_free = stores_are_ordered()
        self._lock_free = lock_free
        #: ``get(key)`` returns the value, or None if there is none.
        self.get: Callable[[bytes], bytes | None] = self._get
        self._reader = None
        if compiled and lock_free and (reader := compiled_reader()) is not None:
            self._reader = reader(
                memory,
                geometry,
                largest=self.largest_value,
                sequence=SEQUENCE,
                tick=TICK,
                purge_lru=purge_lru,
                ask=self._get_locked,
                clock=clock,
            )
            self.get = self._reader.get
        self.count_in(0)

    def count_in(self, stripe: int) -> None:
        """Count hits and misses in this stripe from now on.

        Counters are not locked. Processes that count in different stripes (their
        worker's number, say) lose nothing.
        """
        first = STRIPES_AT // 8 + stripe % STRIPES * STRIPE_WORDS
        self._hits = first + HITS
        self._misses = first + MISSES
        if self._reader is not None:
            self._reader.count_in(self._hits, self._misses)

    # Reading

    def _get(self, key: bytes) -> bytes | None:
        memory = self._memory
        words = self._words
        wanted = (_from_bytes(key, "little") * self._salt + len(key)) % self._prime + 1
        sequence = words[SEQUENCE]
        if not sequence & 1 and self._lock_free:
            item = self._buckets[wanted & self._mask]
            while item:
                record = self._slots_at + item * self._slot_size
                found, following, expires, key_length, length, at = _unpack_read(
                    memory, record
                )
                if found == wanted:
                    record += RECORD_SIZE
                    if memory[record : record + key_length] == key:
                        value = memory[at : at + length]
                        break
                item = following
                if words[SEQUENCE] != sequence:
                    break  # the chain may have become a ring meanwhile
            if words[SEQUENCE] == sequence:
                if item and (expires == NEVER or expires > self._clock()):
                    words[self._hits] += 1
                    if self.purge_lru:
                        tick = words[TICK] + 1
                        words[TICK] = tick
                        self._ticks[item] = tick
                    return value
                words[self._misses] += 1
                return None
        return self._get_locked(key, wanted)

    def _get_locked(self, key: bytes, wanted: int) -> bytes | None:
        found = self.locked(self._look_up, key, wanted)
        return None if found is None else found[0]

    def get_with_expiry(self, key: bytes) -> tuple[bytes, float] | None:
        """Return the value and the time it ends (``NEVER``), or None."""
        return self.locked(self._look_up, key, self._hash(key))

    def exists(self, key: bytes) -> bool:
        """Tell whether the key is there. Counts as no hit and no miss."""
        return self.locked(self._find, key, self._hash(key)) != 0

    def number(self, key: bytes) -> int:
        """Return the value as a signed 64-bit number, 0 if it is not 8 bytes."""
        value = self.get(key)
        if value is None or len(value) != 8:
            return 0
        return int(_INT64.unpack(value)[0])

    def keys(self) -> list[bytes]:
        """Return the keys that are there, in no order.

        The mutex is held for a moment at a time: keys that come and go meanwhile may
        or may not be seen, all others are.
        """
        return [key for key, _, _ in self.entries(values=False)]

    def entries(self, *, values: bool = True) -> Iterator[tuple[bytes, bytes, float]]:
        """Yield key, value (or ``b""``) and expiry time of every item, as ``keys``."""
        item = 1
        while item < self._words[FIRST_UNUSED]:
            yield from self.locked(self._entries_from, item, values)
            item += _ENTRIES_AT_ONCE
            if self.breathe is not None:
                self.breathe()

    # Writing

    def set(self, key: bytes, value: bytes, expires: float = NEVER) -> Outcome:
        """Store a value under a key that is not there; STORED or why not."""
        return self._store(key, value, expires, False)

    def update(self, key: bytes, value: bytes, expires: float = NEVER) -> Outcome:
        """Store a value under a key, there or not; STORED or why not."""
        return self._store(key, value, expires, True)

    def delete(self, key: bytes) -> Outcome:
        """Remove a key; STORED or MISSING."""
        return self.locked(self._delete, key, self._hash(key))

    def clear(self) -> None:
        """Remove everything."""
        self.locked(self.remove_all)

    def change(
        self,
        key: bytes,
        arithmetic: Arithmetic,
        amount: int,
        *,
        initial: int = 0,
        expires: float = NEVER,
    ) -> Outcome:
        """Change a number, which nobody can see half done or do in between.

        A key that is not there begins with ``initial`` and ends at ``expires``; one
        that is keeps its time. A value that is not 8 bytes is taken as the number its
        first 8 bytes make.
        """
        if not 0 < len(key) <= self._keysize:
            return Outcome.BAD_KEY
        if self.largest_value < 8:
            return Outcome.BAD_VALUE
        return self.locked(self._change, key, arithmetic, amount, initial, expires)

    def sweep(self) -> int:
        """Remove items whose time has come; return how many.

        Looks at some thousand items, and at none if no item can be due: call it
        until ``is_sweep_due`` is false.
        """
        if not self.is_sweep_due():
            return 0
        return self.locked(self.sweep_window, self._clock())

    def is_sweep_due(self) -> bool:
        """Tell whether there may be an item whose time has come."""
        return self._doubles[EARLIEST_EXPIRY] <= self._clock()

    # Statistics

    def counter(self, word: int) -> int:
        """Return one of the header's counters (COUNT, FULL, EVICTED, …)."""
        return self._words[word]

    def hits(self) -> int:
        return self._sum_stripes(HITS)

    def misses(self) -> int:
        return self._sum_stripes(MISSES)

    def _sum_stripes(self, which: int) -> int:
        first = STRIPES_AT // 8 + which
        return sum(self._words[first : first + STRIPES * STRIPE_WORDS : STRIPE_WORDS])

    # What follows is called with the mutex held, except for _hash and _store.

    def _hash(self, key: bytes) -> int:
        # A number times a secret one modulo a secret prime: who chooses keys cannot
        # choose collisions, and short keys with the same beginning do not get the same
        # low bits. The length keeps keys apart that differ in trailing zeros only.
        return (_from_bytes(key, "little") * self._salt + len(key)) % self._prime + 1

    def _find(self, key: bytes, wanted: int) -> int:
        """Return the item of a key, 0 if there is none or its time has come."""
        memory = self._memory
        item = self._buckets[wanted & self._mask]
        while item:
            at = self._slots_at + item * self._slot_size
            found, following, expires, key_length, _, _ = _unpack_read(memory, at)
            if found == wanted:
                at += RECORD_SIZE
                if memory[at : at + key_length] == key:
                    if expires == NEVER or expires > self._clock():
                        return item
                    return 0
            item = following
        return 0

    def _look_up(self, key: bytes, wanted: int) -> tuple[bytes, float] | None:
        item = self._find(key, wanted)
        self._words[self._hits if item else self._misses] += 1
        if not item:
            return None
        self._ticks[item] = self.next_tick()
        return self.value_of(item), self.expiry_of(item)

    def _entries_from(
        self, item: int, values: bool
    ) -> list[tuple[bytes, bytes, float]]:
        found = []
        now = self._clock()
        end = min(item + _ENTRIES_AT_ONCE, self._words[FIRST_UNUSED])
        for number in range(item, end):
            if self._words[self.word(number, HASH)]:
                expires = self.expiry_of(number)
                if expires > now:
                    value = self.value_of(number) if values else b""
                    found.append((self.key_of(number), value, expires))
        return found

    def _delete(self, key: bytes, wanted: int) -> Outcome:
        item = self._find(key, wanted)
        if not item:
            return Outcome.MISSING
        self.remove(item)
        return Outcome.STORED

    def _change(
        self,
        key: bytes,
        arithmetic: Arithmetic,
        amount: int,
        initial: int,
        expires: float,
    ) -> Outcome:
        wanted = self._hash(key)
        number = initial
        item = self._find(key, wanted)
        if item:
            raw = self.value_of(item)[:8]
            number = _from_bytes(raw, "little", signed=len(raw) == 8)
            expires = self.expiry_of(item)
        value = _INT64.pack(arithmetic.apply(number, amount))
        return self._put(key, wanted, value, expires, True)

    def _store(
        self, key: bytes, value: bytes, expires: float, replace: bool
    ) -> Outcome:
        if not 0 < len(value) <= self.largest_value:
            return Outcome.BAD_VALUE
        if not 0 < len(key) <= self._keysize:
            return Outcome.BAD_KEY
        wanted = (_from_bytes(key, "little") * self._salt + len(key)) % self._prime + 1
        try:
            result = self._trylock(self._ref)
            if result:
                self.mutex.acquire_contended(result)
            if self._words[UNFINISHED]:
                self.repair()
            outcome = self._put(key, wanted, value, expires, replace)
        except BaseException as exc:
            self.mutex.release_after(exc)
            raise
        self._unlock(self._ref)
        return outcome

    def _put(
        self, key: bytes, wanted: int, value: bytes, expires: float, replace: bool
    ) -> Outcome:
        words = self._words
        memory = self._memory
        item = self._buckets[wanted & self._mask]
        while item:
            record = self._slots_at + item * self._slot_size
            found, following, old_expires, key_length, _, at = _unpack_read(
                memory, record
            )
            if found == wanted:
                key_at = record + RECORD_SIZE
                if memory[key_at : key_at + key_length] == key:
                    break
            item = following
        if expires != NEVER:
            self.note_expiry(expires)
        if not item:
            return self._insert(key, wanted, value, expires)
        if not replace and (old_expires == NEVER or old_expires > self._clock()):
            return Outcome.EXISTS
        length = len(value)
        if self._bitmap:
            extent = words[self.word(item, EXTENT)]
            if extent & 0xFFFFFFFF != self.blocks_for(length):
                return self._move(item, len(key), value, expires)
        # begin and end, written out
        words[UNFINISHED] = item << 8 | UPDATE
        sequence = words[SEQUENCE]
        words[SEQUENCE] = sequence + 1
        memory[at : at + length] = value
        _pack_changed(memory, record + CHANGED_AT, expires, key_length, length, at)
        if expires != old_expires:
            self._expiries[item] = expires
        if self.purge_lru:
            self._ticks[item] = self.next_tick()
        words[SEQUENCE] = sequence + 2
        words[UNFINISHED] = 0
        if self.last_modified:
            words[LAST_MODIFIED] = int(self._clock())
        return Outcome.STORED

    def _insert(self, key: bytes, wanted: int, value: bytes, expires: float) -> Outcome:
        words = self._words
        memory = self._memory
        blocks = self.blocks_for(len(value)) if self._bitmap else 0
        room = self.room(blocks)
        if room is None:
            words[FULL] += 1
            return Outcome.FULL
        item, first_block = room
        record = self._slots_at + item * self._slot_size
        extent = 0
        if blocks:
            extent = first_block << 32 | blocks
            at = self.geometry.blocks_at + first_block * self.geometry.blocksize
            # A repair frees what the record names, and this is of an earlier life.
            words[self.word(item, EXTENT)] = 0
        else:
            at = record + RECORD_SIZE + len(key)
        self.begin(item, INSERT)
        self.take(item)
        if blocks:
            words[self.word(item, EXTENT)] = extent
            self.mark_blocks(extent)
        memory[record + RECORD_SIZE : record + RECORD_SIZE + len(key)] = key
        memory[at : at + len(value)] = value
        bucket = wanted & self._mask
        following = self._buckets[bucket]
        RECORD.pack_into(
            memory, record, wanted, following, expires, len(key), len(value), at
        )
        self._expiries[item] = expires
        self._ticks[item] = self.next_tick()
        self._buckets[bucket] = item
        words[COUNT] += 1
        self.end()
        return Outcome.STORED

    def _move(
        self, item: int, key_length: int, value: bytes, expires: float
    ) -> Outcome:
        """Update an item whose value needs another number of blocks."""
        words = self._words
        geometry = self.geometry
        blocks = self.blocks_for(len(value))
        old = words[self.word(item, EXTENT)]
        room = self.room(blocks, item)
        self.begin(item, UPDATE)
        words[OLD_EXTENT] = old
        if room is None:
            # Perhaps there is with the blocks it has now.
            self.free_blocks(old)
            first_block = self.find_blocks(blocks)
            if first_block < 0:
                self.mark_blocks(old)
                words[OLD_EXTENT] = 0
                self.end()
                words[FULL] += 1
                return Outcome.FULL
        else:
            first_block = room[1]
        extent = first_block << 32 | blocks
        at = geometry.blocks_at + first_block * geometry.blocksize
        words[self.word(item, EXTENT)] = extent
        self.free_blocks(old)
        words[OLD_EXTENT] = 0
        self.mark_blocks(extent)
        self._memory[at : at + len(value)] = value
        _pack_changed(
            self._memory,
            self._slots_at + item * self._slot_size + CHANGED_AT,
            expires,
            key_length,
            len(value),
            at,
        )
        self._expiries[item] = expires
        self._ticks[item] = self.next_tick()
        self.end()
        return Outcome.STORED
