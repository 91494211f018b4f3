"""Is a table whole? Used before a stored one is trusted, and by the tests."""

from __future__ import annotations

from geuwsgi.cache.geometry import COUNT, FIRST_UNUSED, FREE, RECORD_SIZE
from geuwsgi.cache.slots import EXTENT, HASH, LENGTHS, NEVER, NEXT, NEXT_FREE, OFFSET
from geuwsgi.cache.table import Table


def find_damage(table: Table) -> str:
    """Return what is wrong with the table in a few words, ``""`` if nothing is.

    Looks at every item, with the mutex held. A change that was left half done is
    repaired first.
    """
    return table.locked(_Check(table).run)


class _Check:
    def __init__(self, table: Table) -> None:
        self.table = table
        self.geometry = table.geometry
        self.words = table._words
        self.seen: set[int] = set()
        self.blocks: set[int] = set()

    def run(self) -> str:
        words = self.words
        unused = words[FIRST_UNUSED]
        if not 1 <= unused <= self.geometry.items + 1:
            return f"its first unused item is {unused}"
        for bucket in range(self.geometry.buckets):
            damage = self._chain(bucket, unused)
            if damage:
                return damage
        if words[COUNT] != len(self.seen):
            return f"it counts {words[COUNT]} items and has {len(self.seen)}"
        item = words[FREE]
        while item:
            if not 1 <= item < unused or item in self.seen:
                return f"its free list holds item {item}"
            if words[self.table.word(item, HASH)]:
                return f"the free item {item} has a key"
            if self.table._expiries[item] != NEVER:
                return f"the free item {item} has an end"
            self.seen.add(item)
            item = words[self.table.word(item, NEXT_FREE)]
        if len(self.seen) != unused - 1:
            return f"{unused - 1 - len(self.seen)} items are lost"
        return self._block_map()

    def _chain(self, bucket: int, unused: int) -> str:
        item = self.table._buckets[bucket]
        while item:
            if not 1 <= item < unused:
                return f"bucket {bucket} holds item {item}"
            if item in self.seen:
                return f"item {item} is in two chains"
            self.seen.add(item)
            damage = self._item(item, bucket)
            if damage:
                return damage
            item = self.words[self.table.word(item, NEXT)]
        return ""

    def _item(self, item: int, bucket: int) -> str:
        table, geometry, words = self.table, self.geometry, self.words
        wanted = words[table.word(item, HASH)]
        lengths = words[table.word(item, LENGTHS)]
        key_length, length = lengths & 0xFFFFFFFF, lengths >> 32 & 0xFFFFFFFF
        if not 0 < key_length <= geometry.keysize:
            return f"the key of item {item} has {key_length} bytes"
        if wanted != table._hash(table.key_of(item)) or wanted & table._mask != bucket:
            return f"item {item} stands in the wrong chain"
        if not 0 < length <= table.largest_value:
            return f"the value of item {item} has {length} bytes"
        if table._expiries[item] != table.expiry_of(item):
            return f"item {item} ends at two times"
        slot = geometry.slots_at + item * geometry.slot_size
        at = slot + RECORD_SIZE + key_length
        if geometry.bitmap:
            extent = words[table.word(item, EXTENT)]
            first, count = extent >> 32, extent & 0xFFFFFFFF
            taken = set(range(first, first + count))
            if count != table.blocks_for(length) or first + count > geometry.blocks:
                return f"item {item} has {count} blocks from block {first}"
            if taken & self.blocks:
                return f"item {item} shares blocks with another"
            self.blocks |= taken
            at = geometry.blocks_at + first * geometry.blocksize
        if words[table.word(item, OFFSET)] != at:
            return f"the value of item {item} is not where it should be"
        return ""

    def _block_map(self) -> str:
        geometry = self.geometry
        if not geometry.bitmap:
            return ""
        at = geometry.block_map_at
        marks = self.table._memory[at : at + geometry.blocks]
        if {block for block, mark in enumerate(marks) if mark} != self.blocks:
            return "its block map is wrong"
        return ""
