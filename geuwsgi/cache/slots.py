"""The lower half of the cache's table: items, blocks, room, and repair.

How it stays right
    Writers hold the mutex. Before a writer changes anything it notes in the header
    which item it is about to touch and how (``UNFINISHED``), and takes the note back
    as the last thing. Whoever gets the mutex and finds a note knows that its writer
    died, or was left by an exception, and repairs: every single store leaves chains
    and free list in one of two states, both of which :meth:`Slots.repair` brings to
    "this item is free". Nothing else is lost and nothing has to be scanned.

Least recently used
    Every use writes a tick into the item's record, nothing is moved. Eviction takes
    the lowest tick among the next ``EVICTION_WINDOW`` items: exact up to that many
    items, beyond it an item among the oldest hundredth.
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Sequence
from mmap import mmap
from typing import Any, TypeVar

from geuwsgi.cache.geometry import (
    BLOCK_HINT,
    COUNT,
    COUNT_BEFORE,
    EARLIEST_EXPIRY,
    EVICT_HAND,
    EVICTED,
    EXPIRED,
    FIRST_UNUSED,
    FREE,
    IDENTITY_AT,
    LAST_MODIFIED,
    OLD_EXTENT,
    RECORD_SIZE,
    REPAIRS,
    ROUND_EARLIEST_EXPIRY,
    SEQUENCE,
    SWEEP_HAND,
    TICK,
    UNFINISHED,
    Geometry,
)
from geuwsgi.shared.mutex import Mutex

T = TypeVar("T")

NEVER = math.inf
EVICTION_WINDOW = 128
SWEEP_WINDOW = 4096
SWEEP_LIMIT = 128
_EVICTIONS_AT_ONCE = 256

# A record: hash, next, expires, key length, value length, value offset; then two words
# that no struct covers, extent and next free. ``pack_into`` fills its place with zeros
# before it packs, and a writer killed in between leaves those: what a repair relies on
# is written as single words. A free item has hash 0, and NEVER and NO_TICK in the
# arrays beside.
RECORD = READ = struct.Struct("qqdIIq")
CHANGED = struct.Struct("dIIq")
CHANGED_AT = 16
HASH, NEXT, EXPIRES, LENGTHS, OFFSET, EXTENT, NEXT_FREE = range(7)
NO_TICK = 1 << 62

INSERT, UPDATE, DELETE, CLEAR = 1, 2, 3, 4


class Slots:
    """Items and blocks in shared memory. Everything but ``locked`` wants the mutex."""

    __slots__ = (
        "_bitmap",
        "_buckets",
        "_clock",
        "_doubles",
        "_expiries",
        "_keysize",
        "_mask",
        "_memory",
        "_ref",
        "_slot_size",
        "_slots_at",
        "_ticks",
        "_trylock",
        "_unlock",
        "_words",
        "breathe",
        "clear_on_full",
        "geometry",
        "last_modified",
        "mutex",
        "on_repair",
        "purge_lru",
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
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Look at ``memory``; ``fresh`` memory is all zero and is set up first."""
        self.geometry = geometry
        self.mutex = mutex
        self.purge_lru = purge_lru
        self.clear_on_full = clear_on_full
        self.last_modified = last_modified
        self.on_repair: Callable[[bytes], None] | None = None
        #: Called without the mutex, now and then during what takes long.
        self.breathe: Callable[[], object] | None = None
        self._clock = clock
        self._memory = memory
        view = memoryview(memory)
        self._words = view.cast("q")
        self._doubles = view.cast("d")
        buckets_end = geometry.buckets_at + 4 * geometry.buckets
        self._buckets = view[geometry.buckets_at : buckets_end].cast("i")
        self._mask = geometry.buckets - 1
        count = 8 * (geometry.items + 1)
        expiries_at, ticks_at = geometry.expiries_at, geometry.ticks_at
        self._expiries = view[expiries_at : expiries_at + count].cast("d")
        self._ticks = view[ticks_at : ticks_at + count].cast("q")
        self._slots_at = geometry.slots_at
        self._slot_size = geometry.slot_size
        self._keysize = geometry.keysize
        self._bitmap = geometry.bitmap
        self._trylock = mutex.trylock
        self._unlock = mutex.unlock
        self._ref = mutex.ref
        if fresh:
            identity = geometry.encode()
            memory[IDENTITY_AT : IDENTITY_AT + len(identity)] = identity
            self._words[FIRST_UNUSED] = 1
            self._words[EVICT_HAND] = self._words[SWEEP_HAND] = 1
            self._doubles[EARLIEST_EXPIRY] = NEVER
            self._doubles[ROUND_EARLIEST_EXPIRY] = NEVER

    # The mutex

    def locked(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function with the mutex held; what a dead writer left is repaired.

        Not a context manager: a signal handler may raise when ``__exit__`` begins,
        and the mutex would stay locked. Between the calls here it cannot.
        """
        try:
            result = self._trylock(self._ref)
            if result:
                self.mutex.acquire_contended(result)
            if self._words[UNFINISHED]:
                self.repair()
            value = function(*arguments)
        except BaseException as exc:
            self.mutex.release_after(exc)
            raise
        self._unlock(self._ref)
        return value

    # Records

    def word(self, item: int, field: int) -> int:
        """Return the index of a field of a record in the memory's words."""
        return (self._slots_at + item * self._slot_size >> 3) + field

    def key_of(self, item: int) -> bytes:
        at = self._slots_at + item * self._slot_size
        length = self._words[(at >> 3) + LENGTHS] & 0xFFFFFFFF
        return self._memory[at + RECORD_SIZE : at + RECORD_SIZE + length]

    def value_of(self, item: int) -> bytes:
        at = self._words[self.word(item, OFFSET)]
        length = self._words[self.word(item, LENGTHS)] >> 32 & 0xFFFFFFFF
        return self._memory[at : at + length]

    def expiry_of(self, item: int) -> float:
        return self._doubles[self.word(item, EXPIRES)]

    def next_tick(self) -> int:
        tick = self._words[TICK] + 1
        self._words[TICK] = tick
        return tick

    def note_expiry(self, expires: float) -> None:
        """Make the lower bounds of expiry times right for one more."""
        doubles = self._doubles
        if expires < doubles[EARLIEST_EXPIRY]:
            doubles[EARLIEST_EXPIRY] = expires
        if expires < doubles[ROUND_EARLIEST_EXPIRY]:
            doubles[ROUND_EARLIEST_EXPIRY] = expires

    # Changes

    def begin(self, item: int, operation: int) -> None:
        """Note what is about to happen, and send readers away."""
        words = self._words
        words[COUNT_BEFORE] = words[COUNT]
        words[UNFINISHED] = item << 8 | operation
        words[SEQUENCE] += 1

    def end(self) -> None:
        """Take the note back: the change is complete."""
        words = self._words
        words[SEQUENCE] += 1
        words[UNFINISHED] = 0
        if self.last_modified:
            words[LAST_MODIFIED] = int(self._clock())

    def take(self, item: int) -> None:
        """Take a free item, which ``room`` returned, off the free list."""
        words = self._words
        if words[FREE] == item:
            words[FREE] = words[self.word(item, NEXT_FREE)]
        else:
            words[FIRST_UNUSED] = item + 1

    def remove(self, item: int) -> None:
        """Take a used item out of its chain and free it."""
        self.begin(item, DELETE)
        self._make_free(item)
        self._words[COUNT] -= 1
        self.end()

    def remove_all(self) -> None:
        """Free every item. Costs time for the buckets, not for the items."""
        self.begin(0, CLEAR)
        self._make_empty()
        self.end()

    def _make_free(self, item: int) -> None:
        words = self._words
        self._unlink(item)
        if self._bitmap:
            self.free_blocks(words[self.word(item, EXTENT)])
            words[self.word(item, EXTENT)] = 0
        words[self.word(item, HASH)] = 0
        self._expiries[item] = NEVER
        self._ticks[item] = NO_TICK
        words[self.word(item, NEXT_FREE)] = words[FREE]
        words[FREE] = item

    def _unlink(self, item: int) -> None:
        words = self._words
        bucket = words[self.word(item, HASH)] & self._mask
        before, current = 0, self._buckets[bucket]
        while current and current != item:
            before, current = current, words[self.word(current, NEXT)]
        if not current:
            return
        following = words[self.word(item, NEXT)]
        if before:
            words[self.word(before, NEXT)] = following
        else:
            self._buckets[bucket] = following

    def _make_empty(self) -> None:
        geometry = self.geometry
        words = self._words
        size = 4 * geometry.buckets
        at = geometry.buckets_at
        self._memory[at : at + size] = bytes(size)
        if self._bitmap:
            at = geometry.block_map_at
            self._memory[at : at + geometry.blocks] = bytes(geometry.blocks)
        words[FREE] = 0
        words[FIRST_UNUSED] = words[EVICT_HAND] = words[SWEEP_HAND] = 1
        words[COUNT] = 0
        self._doubles[EARLIEST_EXPIRY] = NEVER
        self._doubles[ROUND_EARLIEST_EXPIRY] = NEVER

    # Repair

    def repair(self) -> None:
        """Finish or undo what the last holder of the mutex left half done.

        The item it was about to touch is free afterwards, its key is told to
        ``on_repair``. Being killed here and repairing again does no harm.
        """
        words = self._words
        note = words[UNFINISHED]
        item, operation = note >> 8, note & 0xFF
        if not words[SEQUENCE] & 1:
            words[SEQUENCE] += 1
        if operation == UPDATE:
            # An update does not count. From here on it is a deletion, which does.
            words[COUNT_BEFORE] = words[COUNT]
            operation = DELETE
            words[UNFINISHED] = item << 8 | operation
        key = b""
        if operation == CLEAR:
            self._make_empty()
        else:
            if not self._is_free(item):
                key = self.key_of(item)
                self.free_blocks(words[OLD_EXTENT])
                self._make_free(item)
            count = words[COUNT_BEFORE]
            words[COUNT] = count if operation == INSERT else count - 1
        words[OLD_EXTENT] = 0
        words[REPAIRS] += 1
        words[SEQUENCE] += 1
        words[UNFINISHED] = 0
        if self.on_repair is not None:
            self.on_repair(key)

    def _is_free(self, item: int) -> bool:
        # Only the head of the list can be: nobody else had the mutex since.
        return item == self._words[FREE] or item >= self._words[FIRST_UNUSED]

    # Blocks

    def blocks_for(self, length: int) -> int:
        return -(-length // self.geometry.blocksize)

    def mark_blocks(self, extent: int) -> None:
        self._fill_block_map(extent, b"\1")

    def free_blocks(self, extent: int) -> None:
        self._fill_block_map(extent, b"\0")

    def _fill_block_map(self, extent: int, mark: bytes) -> None:
        count = extent & 0xFFFFFFFF
        at = self.geometry.block_map_at + (extent >> 32)
        self._memory[at : at + count] = mark * count

    def find_blocks(self, count: int) -> int:
        """Return the first of ``count`` free blocks in a row, or -1."""
        geometry = self.geometry
        start = geometry.block_map_at
        end = start + geometry.blocks
        wanted = bytes(count)
        at = self._memory.find(wanted, start + self._words[BLOCK_HINT], end)
        if at < 0:
            at = self._memory.find(wanted, start, end)
            if at < 0:
                return -1
        self._words[BLOCK_HINT] = at - start + count
        return at - start

    # Room

    def room(self, blocks: int, item: int = 0) -> tuple[int, int] | None:
        """Return a free item and the first of so many free blocks in a row.

        With ``item`` only the blocks are looked for, and that item stays. Makes room
        as the options say; None if there is none. Nothing is taken yet.
        """
        words = self._words
        for attempt in range(_EVICTIONS_AT_ONCE):
            free = item or words[FREE] or words[FIRST_UNUSED]
            if free <= self.geometry.items:
                first = self.find_blocks(blocks) if blocks else 0
                if first >= 0:
                    return free, first
            if not self._make_room(attempt, spare=item):
                break
        return None

    def _make_room(self, attempt: int, *, spare: int) -> bool:
        now = self._clock()
        if self._doubles[EARLIEST_EXPIRY] <= now and self.sweep_window(now, spare):
            return True
        if self.purge_lru:
            return self._evict(spare)
        if self.clear_on_full and not spare and not attempt:
            self.remove_all()
            return True
        return False

    def _evict(self, spare: int) -> bool:
        words = self._words
        used = words[FIRST_UNUSED] - 1
        if used < 1:
            return False
        first = words[EVICT_HAND]
        if first > used:
            first = 1
        ticks = self._ticks[first : min(used + 1, first + EVICTION_WINDOW)].tolist()
        missing = min(EVICTION_WINDOW, used) - len(ticks)
        if missing > 0:
            ticks += self._ticks[1 : missing + 1].tolist()
        words[EVICT_HAND] = (first - 1 + len(ticks)) % used + 1
        if spare:
            place = (spare - first) % used
            if place < len(ticks):
                ticks[place] = NO_TICK
        while (oldest := min(ticks)) != NO_TICK:
            place = ticks.index(oldest)
            item = (first - 1 + place) % used + 1
            if words[self.word(item, HASH)]:
                self.remove(item)
                words[EVICTED] += 1
                return True
            # It is free: a reader noted its use only after another process had
            # removed it, for readers hold no mutex. To free it twice would break
            # the free list.
            ticks[place] = self._ticks[item] = NO_TICK
        return False

    def sweep_window(self, now: float, spare: int = 0) -> int:
        """Remove the expired among the next items; return how many.

        Looks at ``SWEEP_WINDOW`` items at most and removes ``SWEEP_LIMIT`` at most,
        which together is half a millisecond.
        """
        words = self._words
        doubles = self._doubles
        end = words[FIRST_UNUSED]
        first = words[SWEEP_HAND]
        if first <= 1 or first >= end:
            first = 1
            doubles[ROUND_EARLIEST_EXPIRY] = NEVER
        last = min(first + SWEEP_WINDOW, end)
        removed = 0
        if first < last:
            times: Sequence[float] = self._expiries[first:last].tolist()
            earliest = min(times)
            if earliest <= now:
                for item, expires in enumerate(times, first):
                    if expires <= now and item != spare:
                        self.remove(item)
                        removed += 1
                        if removed == SWEEP_LIMIT:
                            last = item + 1
                            break
                seen = times[: last - first]
                earliest = min((e for e in seen if e > now), default=NEVER)
            if earliest < doubles[ROUND_EARLIEST_EXPIRY]:
                doubles[ROUND_EARLIEST_EXPIRY] = earliest
        words[EXPIRED] += removed
        words[SWEEP_HAND] = last
        if last >= end:
            doubles[EARLIEST_EXPIRY] = doubles[ROUND_EARLIEST_EXPIRY]
            words[SWEEP_HAND] = 1
        return removed
