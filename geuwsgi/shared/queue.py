"""The ring of messages that workers share (uWSGI: ``queue``).

A fixed number of slots, each empty or holding a message. New messages go to the write
slot; ``pull`` takes from the read slot, the oldest, ``pop`` takes what was pushed last.
A full ring forgets its oldest message. uWSGI moves its slots even where there is
nothing to take, and pulls out of order once it was full; this ring does neither.

Pure logic over the memory; the mutex is held for microseconds. A process that ends in
the middle of a push loses that message: a slot's length is written last.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Mapping
from typing import Any

from geuwsgi.errors import StartupError
from geuwsgi.shared.mutex import Mutex, Wait, make_mutex
from geuwsgi.shared.region import Region, reserve, round_up

_MAGIC = b"geuqueue"
_IDENTITY = struct.Struct("8sqq")
_MUTEX_AT = 64
_HEADER_SIZE = 4096
# uWSGI keeps as many bytes of each block for itself.
_SLOT_HEADER = 16
_WRITE_SLOT, _READ_SLOT = 4, 5


class SharedQueue:
    """``size`` slots of ``blocksize`` bytes, of which a message may take all but 16."""

    def __init__(
        self, region: Region, *, size: int, blocksize: int, fresh_mutex: bool
    ) -> None:
        self.region = region
        self.size = size
        self.blocksize = blocksize
        self.mutex: Mutex = make_mutex(
            region.memory, _MUTEX_AT, fd=region.fd, fresh=fresh_mutex
        )
        self._memory = region.memory
        self._words = memoryview(region.memory).cast("q")

    @classmethod
    def create(cls, size: int, blocksize: int, store: str = "") -> SharedQueue:
        """Make the ring, in the file ``store`` if one is named.

        Raises StartupError if the file is none of a queue like this one.
        """
        blocksize = round_up(blocksize, 8)
        length = _HEADER_SIZE + size * blocksize
        identity = _IDENTITY.pack(_MAGIC, size, blocksize)
        if not store:
            region = Region.create("queue", length)
            region.memory[: _IDENTITY.size] = identity
        else:
            region = _open_store(store, length, identity)
        queue = cls(region, size=size, blocksize=blocksize, fresh_mutex=True)
        queue._check_slots()
        return queue

    def descriptors(self) -> list[int]:
        return [self.region.fd]

    def to_wire(self) -> dict[str, Any]:
        return {
            "region": self.region.to_wire(),
            "size": self.size,
            "blocksize": self.blocksize,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> SharedQueue:
        return cls(
            Region.from_wire(wire["region"]),
            size=int(wire["size"]),
            blocksize=int(wire["blocksize"]),
            fresh_mutex=False,
        )

    def enter_process(self, wait: Wait) -> None:
        self.mutex.wait = wait

    def push(self, message: bytes) -> bool:
        """Add a message; False if it is empty or longer than a slot."""
        return self._fits(message) and self.mutex.call(self._push, message)

    def pull(self) -> bytes | None:
        """Take the oldest message."""
        return self.mutex.call(self._pull)

    def pop(self) -> bytes | None:
        """Take the newest message."""
        return self.mutex.call(self._pop)

    def get(self, slot: int) -> bytes | None:
        """Return what a slot holds."""
        return self.mutex.call(self._get, slot) if 0 <= slot < self.size else None

    def set(self, slot: int, message: bytes) -> bool:
        """Put a message into a slot; False if it does not fit or there is no such."""
        if not 0 <= slot < self.size or not self._fits(message):
            return False
        self.mutex.call(self._write, slot, message)
        return True

    def last(self, count: int) -> list[bytes | None]:
        """Return the messages pushed last, newest first, None for empty slots."""
        return self.mutex.call(self._last, max(0, min(count, self.size)))

    @property
    def write_slot(self) -> int:
        return self._words[_WRITE_SLOT] % self.size

    @property
    def read_slot(self) -> int:
        return self._words[_READ_SLOT] % self.size

    def sync(self) -> None:
        """Write the pages to the disk, if there is a store."""
        self.region.memory.flush()

    def close(self) -> None:
        # The mapping keeps a descriptor of its own, and with it the lock on a store.
        fcntl.flock(self.region.fd, fcntl.LOCK_UN)
        self.region.close()

    def _fits(self, message: bytes) -> bool:
        return 0 < len(message) <= self.blocksize - _SLOT_HEADER

    def _push(self, message: bytes) -> bool:
        slot = self.write_slot
        following = (slot + 1) % self.size
        if slot == self.read_slot and self._length(slot):
            self._words[_READ_SLOT] = following
        self._write(slot, message)
        self._words[_WRITE_SLOT] = following
        return True

    def _pull(self) -> bytes | None:
        slot = self.read_slot
        message = self._take(slot)
        if message is not None:
            self._words[_READ_SLOT] = (slot + 1) % self.size
        return message

    def _pop(self) -> bytes | None:
        slot = (self.write_slot - 1) % self.size
        message = self._take(slot)
        if message is not None:
            self._words[_WRITE_SLOT] = slot
        return message

    def _last(self, count: int) -> list[bytes | None]:
        newest = self.write_slot - 1
        return [self._get((newest - back) % self.size) for back in range(count)]

    def _get(self, slot: int) -> bytes | None:
        length = self._length(slot)
        if not length:
            return None
        at = _HEADER_SIZE + slot * self.blocksize + _SLOT_HEADER
        return self._memory[at : at + length]

    def _take(self, slot: int) -> bytes | None:
        message = self._get(slot)
        if message is not None:
            self._words[self._word(slot)] = 0
        return message

    def _write(self, slot: int, message: bytes) -> None:
        word = self._word(slot)
        self._words[word] = 0
        at = 8 * word + _SLOT_HEADER
        self._memory[at : at + len(message)] = message
        self._words[word] = len(message)

    def _word(self, slot: int) -> int:
        return (_HEADER_SIZE + slot * self.blocksize) // 8

    def _length(self, slot: int) -> int:
        return self._words[self._word(slot)]

    def _check_slots(self) -> None:
        """Empty slots of a store whose length is impossible."""
        for slot in range(self.size):
            if not 0 <= self._length(slot) <= self.blocksize - _SLOT_HEADER:
                self._words[self._word(slot)] = 0


def _open_store(path: str, length: int, identity: bytes) -> Region:
    def refusal(why: str) -> StartupError:
        return StartupError(f"cannot use {path} as the store of the queue: {why}")

    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise refusal(exc.strerror or str(exc)) from exc
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = os.fstat(fd).st_size
        if not size:
            reserve(fd, length)
            os.pwrite(fd, identity, 0)
        elif size != length or os.pread(fd, len(identity), 0) != identity:
            raise refusal(
                f"it holds something else; a queue of this size has {length} bytes"
            )
        return Region(path, fd, length)
    except BlockingIOError as exc:
        os.close(fd)
        raise refusal("another instance has it open") from exc
    except OSError as exc:
        os.close(fd)
        raise refusal(exc.strerror or str(exc)) from exc
    except StartupError:
        os.close(fd)
        raise
