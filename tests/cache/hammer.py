"""What a process does with a table until it is killed; used by ``test_processes``.

Every value says which key it
belongs to and carries its own checksum, so that a torn one is noticed.
"""

from __future__ import annotations

import os
import random
import zlib

from geuwsgi.cache.geometry import MUTEX_AT, Geometry
from geuwsgi.cache.slots import NEVER
from geuwsgi.cache.table import Table
from geuwsgi.shared.arithmetic import Arithmetic
from geuwsgi.shared.mutex import make_mutex
from geuwsgi.shared.region import Region

KEYS = [b"key-%d" % number for number in range(300)]


def open_table(fd: int, size: int) -> Table:
    region = Region("hammer", fd, size)
    geometry = Geometry.decode(region.memory[:256])
    mutex = make_mutex(region.memory, MUTEX_AT, fd=fd, fresh=False)
    return Table(region.memory, geometry, mutex, fresh=False, purge_lru=True)


def make_value(key: bytes, generator: random.Random) -> bytes:
    body = key + b"|" + generator.randbytes(generator.randrange(1, 300))
    return zlib.crc32(body).to_bytes(4, "big") + body


def is_whole(key: bytes, value: bytes) -> bool:
    body = value[4:]
    return zlib.crc32(body).to_bytes(4, "big") == value[:4] and body.startswith(
        key + b"|"
    )


def hammer(table: Table, seed: int, report: int) -> None:
    """Work for ever. Writes a dot to ``report`` every thousand operations."""
    generator = random.Random(seed)
    now = table._clock
    operations = 0
    while True:
        key = generator.choice(KEYS)
        choice = generator.random()
        if choice < 0.45:
            value = table.get(key)
            if value is not None and not is_whole(key, value):
                os.write(report, b"wrong value of %r: %r" % (key, value))
        elif choice < 0.75:
            end = now() + generator.choice((0.01, 0.1, 1.0, NEVER))
            table.update(key, make_value(key, generator), end)
        elif choice < 0.85:
            table.set(key, make_value(key, generator))
        elif choice < 0.95:
            table.delete(key)
        elif choice < 0.98:
            table.change(b"counter", Arithmetic.INC, 1)
        elif choice < 0.9995:
            table.sweep()
        else:
            table.clear()
        operations += 1
        if operations % 1000 == 0:
            os.write(report, b".")
