"""How much memory a process has."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

_PAGE = resource.getpagesize()


def read_memory(pid: int | None = None) -> tuple[int, int]:
    """Return (resident, virtual) bytes of process ``pid``, or of this one.

    Raises :exc:`OSError` if there is no such process. Away from Linux only the largest
    resident size of this process is known, and it stands for both.
    """
    if not sys.platform.startswith("linux"):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most, most
    path = f"/proc/{pid or 'self'}/statm"
    fileno = os.open(path, os.O_RDONLY)
    try:
        virtual, resident = os.read(fileno, 128).split()[:2]
    finally:
        os.close(fileno)
    return int(resident) * _PAGE, int(virtual) * _PAGE


def read_shares() -> tuple[int, int]:
    """Return (proportional, own) bytes of this process; zeros if nobody tells.

    The kernel walks through all pages for it: milliseconds for each GiB.
    """
    try:
        with open("/proc/self/smaps_rollup", "rb") as file:
            lines = file.read().splitlines()[1:]
    except OSError:
        return 0, 0
    kib = {name: int(rest.split()[0]) for name, rest in (x.split(b":") for x in lines)}
    own = kib[b"Private_Clean"] + kib[b"Private_Dirty"]
    return kib[b"Pss"] * 1024, own * 1024


def give_memory_back() -> None:
    """Have the allocator return what it does not use to the system.

    It keeps what it had at a peak, in blocks below the threshold for blocks of their
    own, which grows with use. Takes milliseconds for each GiB; nothing but glibc's
    knows how.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
