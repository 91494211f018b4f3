"""What a process does with a table until it is killed, and the model it is held to.

Each key belongs to one place among the processes, and only who has that place writes
it. A value is made from its key and a number that rises with every write, so a reader
can tell which write it sees. The model, in memory that survives a process, has two
numbers for each key: that of the last write that was begun, and that of the last one
that ended; what follows a process that was killed finds out there what may be. An
ended write must be seen by every later reader, a write that was never begun by none.
"""

from __future__ import annotations

import mmap
import os
import random
import struct
import time
from dataclasses import dataclass

from geuwsgi.cache.geometry import MUTEX_AT, Geometry
from geuwsgi.cache.outcome import Outcome
from geuwsgi.cache.slots import NEVER
from geuwsgi.cache.table import Table
from geuwsgi.shared.arithmetic import Arithmetic
from geuwsgi.shared.mutex import make_mutex
from geuwsgi.shared.region import Region

PROCESSES = 4
KEYS_EACH = 64
KEYS = PROCESSES * KEYS_EACH
NAMES = [b"key-%d" % number for number in range(KEYS)]
COUNTERS = [b"counter-%d" % place for place in range(PROCESSES)]
LARGEST = 300
# A number of a key is even when it stands for a value, odd when for its deletion.
_BEGUN, _ENDED = 0, KEYS + PROCESSES
_OPERATIONS = _ENDED + KEYS + PROCESSES
_WORDS = _OPERATIONS + PROCESSES
_FILLING = random.Random(5).randbytes(4096)
_HEAD = struct.Struct("<IQ")
SHORT_S = 0.05


def open_table(fd: int, size: int, *, purge_lru: bool, compiled: bool = True) -> Table:
    region = Region("hammer", fd, size)
    geometry = Geometry.decode(region.memory[:256])
    mutex = make_mutex(region.memory, MUTEX_AT, fd=fd, fresh=False)
    return Table(
        region.memory,
        geometry,
        mutex,
        fresh=False,
        purge_lru=purge_lru,
        compiled=compiled,
    )


def make_value(key: int, number: int) -> bytes:
    spread = (number * 2654435761 + key * 40503) & 0xFFFFFFF
    length = 1 + spread % (LARGEST - _HEAD.size)
    at = spread % (len(_FILLING) - LARGEST)
    return _HEAD.pack(key, number) + _FILLING[at : at + length]


def number_of(key: int, value: bytes) -> int:
    """Return which write a value is from. Raises ValueError for one of none."""
    if len(value) > _HEAD.size:
        number = int(_HEAD.unpack_from(value)[1])
        if make_value(key, number) == value:
            return number
    raise ValueError(f"{NAMES[key]!r} has the value {value!r}")


class Model:
    """What the keys may have. Made before the processes, shared by all."""

    def __init__(self) -> None:
        self._words = memoryview(mmap.mmap(-1, 8 * _WORDS)).cast("q")
        for key in range(KEYS):
            self._words[_BEGUN + key] = self._words[_ENDED + key] = 1

    def begun(self, key: int) -> int:
        return self._words[_BEGUN + key]

    def ended(self, key: int) -> int:
        return self._words[_ENDED + key]

    def begin(self, key: int, number: int) -> None:
        self._words[_BEGUN + key] = number

    def end(self, key: int, number: int) -> None:
        self._words[_ENDED + key] = number

    def count(self, place: int) -> None:
        self._words[_OPERATIONS + place] += 1

    def operations(self) -> int:
        return sum(self._words[_OPERATIONS : _OPERATIONS + PROCESSES])


@dataclass
class Hammer:
    """One process's work on ``table``. ``may_vanish``: items may make room."""

    table: Table
    model: Model
    place: int
    generator: random.Random
    may_vanish: bool

    def run(self) -> None:
        """Work for ever; ValueError tells what is wrong."""
        self._take_over()
        first = self.place * KEYS_EACH
        bits = self.generator.getrandbits
        while True:
            chosen = bits(30)
            key = first + (chosen >> 10) % KEYS_EACH
            kind = chosen & 0x3FF
            if kind < 256:
                self._read(key)
            elif kind < 480:
                self._read((chosen >> 10) % KEYS)
            elif kind < 760:
                self._write(key)
            elif kind < 800:
                self._write_for_a_moment(key)
            elif kind < 880:
                self._add(key)
            elif kind < 970:
                self._delete(key)
            elif kind < 1010:
                self._increment()
            elif kind < 1023 or not self.may_vanish:
                self.table.sweep()
            else:
                self.table.clear()
            self.model.count(self.place)

    def _take_over(self) -> None:
        """Settle what the process that had this place before was about to do."""
        model = self.model
        for key in range(self.place * KEYS_EACH, (self.place + 1) * KEYS_EACH):
            self._read(key)
            begun = model.begun(key)
            if begun == model.ended(key):
                continue
            entry = self.table.get_with_expiry(NAMES[key])
            if entry is None:
                model.begin(key, begun | 1)
                model.end(key, begun | 1)
                continue
            value, expires = entry
            found = number_of(key, value)
            # Its time may still come.
            model.begin(key, found if expires == NEVER else found + 1)
            model.end(key, found)
        key = KEYS + self.place
        lost = model.begun(key) != model.ended(key)
        self._settle_counter(may_be_lost=lost or self.may_vanish)

    def _settle_counter(self, *, may_be_lost: bool) -> None:
        model, key = self.model, KEYS + self.place
        begun, ended = model.begun(key), model.ended(key)
        found = self.table.number(COUNTERS[self.place])
        if not (ended <= found <= begun or (may_be_lost and found <= begun)):
            raise ValueError(f"a counter has {found}, not {ended} to {begun}")
        model.begin(key, found)
        model.end(key, found)

    def _read(self, key: int) -> None:
        ended = self.model.ended(key)
        value = self.table.get(NAMES[key])
        begun = self.model.begun(key)
        if value is not None:
            number = number_of(key, value)
            if not ended <= number <= begun:
                raise ValueError(f"{NAMES[key]!r}: {number}, not {ended} to {begun}")
        elif begun == ended and not ended & 1 and not self.may_vanish:
            raise ValueError(f"{NAMES[key]!r}: nothing, not {ended}")

    def _write(self, key: int) -> None:
        number = (self.model.begun(key) | 1) + 1
        value = make_value(key, number)
        self.model.begin(key, number)
        self._must_be(self.table.update(NAMES[key], value), Outcome.STORED)
        self.model.end(key, number)

    def _write_for_a_moment(self, key: int) -> None:
        number = (self.model.begun(key) | 1) + 1
        value, expires = make_value(key, number), time.time() + SHORT_S
        # It is begun to be gone already: its end is nobody's write.
        self.model.begin(key, number + 1)
        self._must_be(self.table.update(NAMES[key], value, expires), Outcome.STORED)
        self.model.end(key, number)

    def _add(self, key: int) -> None:
        begun, ended = self.model.begun(key), self.model.ended(key)
        number = (begun | 1) + 1
        value = make_value(key, number)
        self.model.begin(key, number)
        outcome = self.table.set(NAMES[key], value)
        if outcome is Outcome.STORED:
            self.model.end(key, number)
            is_wrong = begun == ended and not ended & 1 and not self.may_vanish
        else:
            self._must_be(outcome, Outcome.EXISTS)
            self.model.begin(key, begun)
            is_wrong = begun == ended and bool(ended & 1)
        if is_wrong:
            raise ValueError(f"{NAMES[key]!r}: set gave {outcome} at {ended}")

    def _delete(self, key: int) -> None:
        begun, ended = self.model.begun(key), self.model.ended(key)
        self.model.begin(key, begun | 1)
        outcome = self.table.delete(NAMES[key])
        self.model.end(key, begun | 1)
        if begun == ended and not self.may_vanish:
            self._must_be(outcome, Outcome.MISSING if ended & 1 else Outcome.STORED)

    def _increment(self) -> None:
        key = KEYS + self.place
        self._settle_counter(may_be_lost=self.may_vanish)
        number = self.model.ended(key) + 1
        self.model.begin(key, number)
        outcome = self.table.change(COUNTERS[self.place], Arithmetic.INC, 1)
        self._must_be(outcome, Outcome.STORED)
        self.model.end(key, number)

    def _must_be(self, outcome: Outcome, wanted: Outcome) -> None:
        if outcome is not wanted:
            raise ValueError(f"{outcome} instead of {wanted}")


def work(
    table: Table, model: Model, place: int, seed: int, *, report: int, may_vanish: bool
) -> None:
    """Be one of the processes, until killed; what is wrong goes to ``report``."""
    hammer = Hammer(table, model, place, random.Random(seed), may_vanish)
    try:
        hammer.run()
    except BaseException as exc:
        os.write(report, f"wrong: {exc!r}\n".encode())
        raise
