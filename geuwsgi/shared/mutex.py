"""A lock between processes that dies with its holder.

Where the C library has robust mutexes shared between processes (glibc and musl) the
lock is one, called through ``ctypes``: locking and unlocking costs 0.2 µs. Elsewhere
it is a record lock of ``fcntl`` (1.3 µs), which the kernel also takes from the dead.

The holder must not switch greenlets. Who finds the lock taken spins for a moment and
then calls ``wait``, which a worker replaces by one that lets its hub run
(:mod:`geuwsgi.shared.hubwait`).

A caller that wants speed calls ``trylock`` and ``unlock`` itself, as the cache does::

    try:
        result = mutex.trylock(mutex.ref)
        if result:
            mutex.acquire_contended(result)
        ...
    except BaseException as exc:
        mutex.release_after(exc)
        raise
    mutex.unlock(mutex.ref)

``trylock`` stands inside the ``try`` because a Python signal handler may raise between
the call and the next instruction; ``unlock`` of a lock that is not ours does nothing.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

MUTEX_SIZE = 64
_PROCESS_SHARED = 1
_ROBUST = 1
_SPINS = 64
_QUICK_TRIES = 30
_OWNER_MASK = 0x3FFFFFFF

T = TypeVar("T")
Wait = Callable[[int], None]


class MutexNotTaken(Exception):
    """The lock could not be taken."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        #: Did the section that failed to take the lock end already? The sections
        #: around it hold theirs and must give them back.
        self.left_its_section = False


class MutexReentered(MutexNotTaken):
    """The thread asks for a lock that it holds already.

    It happens when a signal handler or a finaliser that interrupted a locked section
    uses the same object. Waiting would be for ever.
    """


class MutexTimeout(MutexNotTaken):
    """The lock stayed taken too long: its holder is stopped, not dead."""


# CDLL gives up the GIL during a call, and the holder may be a thread of ours. What
# the time module has may be gevent's by now and would switch greenlets.
_sched_yield = ctypes.CDLL(None).sched_yield
_usleep = ctypes.CDLL(None).usleep


def yield_processor(attempt: int) -> None:
    """Give the holder of a lock a chance; the default way of waiting."""
    if attempt < _SPINS:
        _sched_yield()
    else:
        _usleep(200)


class Mutex:
    """What both kinds have in common. ``make_mutex`` chooses the kind."""

    __slots__ = ("ref", "timeout_s", "trylock", "unlock", "wait")

    def __init__(self, *, wait: Wait, timeout_s: float) -> None:
        self.trylock: Callable[[Any], int] = _unset
        self.unlock: Callable[[Any], int] = _unset
        self.ref: Any = None
        self.wait = wait
        self.timeout_s = timeout_s

    def holder(self) -> int:
        """Return the thread id of the holder, 0 if nobody, -1 if not known."""
        raise NotImplementedError

    def _make_consistent(self) -> None:
        raise NotImplementedError

    def acquire_contended(self, result: int) -> None:
        """Get the lock after ``trylock`` returned ``result`` instead of 0.

        Raises ``MutexReentered`` if this thread holds it and ``MutexTimeout`` after
        ``timeout_s``. A holder that died leaves the lock to us; what it guards may be
        half changed, and ought to bear a mark of that.
        """
        # A section takes two microseconds: mostly its holder is about to leave it.
        for _ in range(_QUICK_TRIES):
            if result != errno.EBUSY:
                break
            result = self.trylock(self.ref)
        attempt = 0
        started = time.monotonic()
        while result:
            if result == errno.EOWNERDEAD:
                self._make_consistent()
                return
            if result != errno.EBUSY:
                raise OSError(result, os.strerror(result))
            if attempt == 0 and self.holder() == threading.get_native_id():
                raise MutexReentered(
                    "a lock shared by processes is asked for by the thread that holds"
                    " it: it was used in a signal handler or a finaliser"
                )
            if time.monotonic() - started > self.timeout_s:
                raise MutexTimeout(
                    f"thread {self.holder()} holds a shared lock for more than"
                    f" {self.timeout_s:g} seconds"
                )
            self.wait(attempt)
            attempt += 1
            result = self.trylock(self.ref)

    def release_after(self, exc: BaseException) -> None:
        """Unlock when the locked section was left by ``exc``, if it is ours."""
        if isinstance(exc, MutexNotTaken) and not exc.left_its_section:
            exc.left_its_section = True
        else:
            self.unlock(self.ref)

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function with the lock held and return what it returns.

        Not a context manager: a signal handler may raise when ``__exit__`` begins,
        and the lock would stay taken. Between the calls here it cannot.
        """
        try:
            result = self.trylock(self.ref)
            if result:
                self.acquire_contended(result)
            value = function(*arguments)
        except BaseException as exc:
            self.release_after(exc)
            raise
        self.unlock(self.ref)
        return value


class RobustMutex(Mutex):
    """A robust, process-shared ``pthread_mutex_t`` in shared memory."""

    __slots__ = ("_consistent", "_memory", "_owner_at")

    def __init__(
        self, memory: mmap.mmap, offset: int, *, wait: Wait, timeout_s: float
    ) -> None:
        super().__init__(wait=wait, timeout_s=timeout_s)
        library = ctypes.PyDLL(None)
        self.trylock = library.pthread_mutex_trylock
        self.unlock = library.pthread_mutex_unlock
        self._consistent = library.pthread_mutex_consistent
        self.ref = ctypes.byref(ctypes.c_char.from_buffer(memory, offset))
        self._memory = memory
        self._owner_at = offset

    def initialise(self) -> None:
        """Write a fresh mutex; nobody may use it meanwhile. May raise OSError."""
        library = ctypes.PyDLL(None)
        attributes = ctypes.create_string_buffer(64)
        for result in (
            library.pthread_mutexattr_init(attributes),
            library.pthread_mutexattr_setpshared(attributes, _PROCESS_SHARED),
            library.pthread_mutexattr_setrobust(attributes, _ROBUST),
            library.pthread_mutex_init(self.ref, attributes),
        ):
            if result:
                raise OSError(result, os.strerror(result))
        library.pthread_mutexattr_destroy(attributes)

    def holder(self) -> int:
        # glibc keeps the lock word first, musl after the type word.
        me = threading.get_native_id()
        first, second = struct.unpack_from("II", self._memory, self._owner_at)
        if second & _OWNER_MASK == me:
            return me
        return int(first & _OWNER_MASK)

    def _make_consistent(self) -> None:
        self._consistent(self.ref)


class RecordMutex(Mutex):
    """A record lock on one byte of the region's file.

    Such a lock belongs to the process, so a lock between its threads stands before
    it. The kernel does not tell that a holder died; what the lock guards must have
    a mark of its own for an unfinished change.
    """

    __slots__ = ("_fd", "_offset", "_owner")

    def __init__(self, fd: int, offset: int, *, wait: Wait, timeout_s: float) -> None:
        super().__init__(wait=wait, timeout_s=timeout_s)
        self._fd = fd
        self._owner = 0
        self.trylock = self._trylock
        self.unlock = self._unlock
        self._offset = offset

    def _trylock(self, _ref: Any) -> int:
        if self._owner:
            return errno.EBUSY
        self._owner = threading.get_native_id()
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._offset)
        except OSError as exc:
            self._owner = 0
            if exc.errno in (errno.EAGAIN, errno.EACCES):
                return errno.EBUSY
            return exc.errno or errno.EIO
        return 0

    def _unlock(self, _ref: Any) -> int:
        if self._owner != threading.get_native_id():
            return errno.EPERM
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, self._offset)
        self._owner = 0
        return 0

    def holder(self) -> int:
        return self._owner or -1

    def _make_consistent(self) -> None:
        pass


def make_mutex(
    memory: mmap.mmap,
    offset: int,
    *,
    fd: int,
    fresh: bool,
    wait: Wait = yield_processor,
    timeout_s: float = 10.0,
) -> Mutex:
    """Return the mutex that lies in ``memory`` at ``offset`` (``MUTEX_SIZE`` bytes).

    ``fresh`` says that the memory is new and the mutex has to be written first. Every
    process that shares the memory must come to the same kind, hence no choice here.
    """
    if has_robust_mutexes():
        mutex = RobustMutex(memory, offset, wait=wait, timeout_s=timeout_s)
        if fresh:
            mutex.initialise()
        return mutex
    return RecordMutex(fd, offset, wait=wait, timeout_s=timeout_s)


def has_robust_mutexes() -> bool:
    """Tell whether the C library offers robust mutexes to ``ctypes``."""
    try:
        library = ctypes.PyDLL(None)
        return hasattr(library, "pthread_mutex_consistent") and hasattr(
            library, "pthread_mutexattr_setrobust"
        )
    except OSError:
        return False


def _unset(_ref: Any) -> int:
    raise NotImplementedError
