"""Where everything lies inside the memory of one cache.

::

    header        8 KiB: identity, mutable words, mutex, counters of 64 processes
    buckets       int32 each: the first item of a chain, 0 for none
    expiries      a double an item: for sweeping
    ticks         int64 an item: when it was used last, for eviction
    block map     one byte a block (bitmap mode only): 1 is taken
    slots         a record of 64 bytes, the key, and without bitmap the value behind it
    blocks        bitmap mode only: the values

Record, key and value of an item lie together, and slots are an odd number of cache
lines apart: a lookup touches one page and few lines, and the lines of different items
do not fight for the same place in the processor's cache. (Keys and values in tables of
their own, 2048 and 65536 bytes apart, made ``get`` twice as slow.)

A geometry is pure arithmetic: it is written into the header when the memory is made
and checked against it when the memory is opened again.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass

from geuwsgi.shared.mutex import MUTEX_SIZE
from geuwsgi.shared.region import PAGE_SIZE, round_up

MAGIC = b"geucache"
LAYOUT_VERSION = 2
HEADER_SIZE = 8192
RECORD_SIZE = 64

# The identity, written once: magic, then these as 64-bit words.
IDENTITY = struct.Struct("8s8q")
IDENTITY_AT = 0

# Mutable words, as indexes of 64-bit words.
SEQUENCE = 16  # odd while somebody changes what a reader may look at
UNFINISHED = 17  # item << 8 | operation; 0 when nobody is in the middle
COUNT_BEFORE = 18  # the number of items when that operation began
FREE = 19  # the first item of the free list
FIRST_UNUSED = 20  # this item and all above were never used since the last clear
COUNT = 21
FULL = 22
LAST_MODIFIED = 23
TICK = 24
EVICT_HAND = 25
SWEEP_HAND = 26
BLOCK_HINT = 27
REPAIRS = 28
EVICTED = 29
EXPIRED = 30
OPEN_IN_BOOT = 31  # of which boot of the machine has the store open, or 0

OLD_EXTENT = 32  # blocks that the unfinished update is about to give back

# No expiry time in the cache is earlier than this one (a double) …
EARLIEST_EXPIRY = 33
# … and the same for what the current round of sweeping has seen or let in.
ROUND_EARLIEST_EXPIRY = 34

MUTEX_AT = 512
STRIPES_AT = 4096
STRIPES = 64
STRIPE_WORDS = 8
HITS, MISSES = 0, 1


@dataclass(frozen=True)
class Geometry:
    """The sizes that make one cache, and the offsets that follow from them."""

    items: int
    blocks: int
    blocksize: int
    keysize: int
    bitmap: bool
    hash_prime: int
    hash_salt: int

    @classmethod
    def fresh(
        cls, *, items: int, blocks: int, blocksize: int, keysize: int, bitmap: bool
    ) -> Geometry:
        """Return a geometry with a new secret for the hash of the keys.

        A client that can choose keys must not be able to choose their bucket.
        """
        return cls(
            items=items,
            blocks=blocks if bitmap else items,
            blocksize=blocksize,
            keysize=keysize,
            bitmap=bitmap,
            hash_prime=random_prime(),
            hash_salt=secrets.randbits(60) | 1,
        )

    @property
    def buckets(self) -> int:
        return 1 << max(4, self.items.bit_length())

    @property
    def buckets_at(self) -> int:
        return HEADER_SIZE

    @property
    def expiries_at(self) -> int:
        return round_up(self.buckets_at + 4 * self.buckets, 64)

    @property
    def ticks_at(self) -> int:
        return self.expiries_at + 8 * (self.items + 1)

    @property
    def block_map_at(self) -> int:
        return self.ticks_at + 8 * (self.items + 1)

    @property
    def slots_at(self) -> int:
        end = self.block_map_at + (self.blocks if self.bitmap else 0)
        return round_up(end, PAGE_SIZE)

    @property
    def slot_size(self) -> int:
        content = self.keysize + (0 if self.bitmap else self.blocksize)
        return round_up(RECORD_SIZE + content, 64) | 64

    @property
    def blocks_at(self) -> int:
        return round_up(self.slots_at + self.slot_size * (self.items + 1), PAGE_SIZE)

    @property
    def size(self) -> int:
        if not self.bitmap:
            return self.blocks_at
        return round_up(self.blocks_at + self.blocks * self.blocksize, PAGE_SIZE)

    def encode(self) -> bytes:
        """Return the identity for the header."""
        return IDENTITY.pack(
            MAGIC,
            LAYOUT_VERSION,
            self.items,
            self.blocks,
            self.blocksize,
            self.keysize,
            int(self.bitmap),
            self.hash_prime,
            self.hash_salt,
        )

    @classmethod
    def decode(cls, header: bytes) -> Geometry:
        """Return the geometry that a header names.

        Raises ``ValueError`` if it names none that could be right.
        """
        if len(header) < IDENTITY.size:
            raise ValueError(f"the header has {len(header)} bytes")
        magic, version, items, blocks, blocksize, keysize, bitmap, prime, salt = (
            IDENTITY.unpack_from(header, IDENTITY_AT)
        )
        if magic != MAGIC:
            raise ValueError(f"it begins with {magic!r} instead of {MAGIC!r}")
        if version != LAYOUT_VERSION:
            raise ValueError(f"its layout is version {version}, not {LAYOUT_VERSION}")
        sound = (
            0 < items < 1 << 31
            and items <= blocks < 1 << 31
            and 0 < blocksize < 1 << 32
            and 0 < keysize < 1 << 16
            and bitmap in (0, 1)
            and prime > 1 << 59
            and salt > 0
        )
        if not sound:
            raise ValueError("its header holds impossible sizes")
        return cls(items, blocks, blocksize, keysize, bool(bitmap), prime, salt)


def random_prime() -> int:
    """Return a random prime of 61 bits."""
    while True:
        candidate = secrets.randbits(61) | 1 << 60 | 1
        if _is_prime(candidate):
            return candidate


def _is_prime(number: int) -> bool:
    # Miller and Rabin; these bases decide every number below 2**64.
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        if number % base == 0:
            return number == base
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


assert MUTEX_AT + MUTEX_SIZE <= STRIPES_AT
assert STRIPES_AT + STRIPES * STRIPE_WORDS * 8 <= HEADER_SIZE
