# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Reading a cache's table without its mutex; see ``table`` for how that is right.

What is read here may be half written, so nothing that comes from the memory is
believed before ``SEQUENCE`` was seen unchanged, except for staying inside the memory,
which is checked.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from *:
    """
    typedef unsigned __int128 geuwsgi_wide;
    /* Loads before and after stay where they are. */
    #define geuwsgi_barrier() __atomic_thread_fence(__ATOMIC_ACQUIRE)
    """
    ctypedef unsigned long long geuwsgi_wide
    void geuwsgi_barrier() nogil

cdef double NEVER = float("inf")


cdef struct Record:
    int64_t hash
    int64_t following
    double expires
    uint32_t key_length
    uint32_t length
    int64_t at


cdef class Reader:
    """Has ``get`` of ``Table``. ``ask`` is told key and hash when the mutex is wanted.

    ``count_in`` must be told where to count hits and misses, as word indexes.
    """

    cdef Py_buffer _buffer
    cdef bint _held
    cdef uint8_t *_memory
    cdef int64_t *_words
    cdef Py_ssize_t _size
    cdef int64_t _items, _slots_at, _slot_size, _buckets_at, _ticks_at, _keysize, _largest
    cdef uint64_t _mask, _prime, _salt
    cdef Py_ssize_t _sequence, _tick, _hits, _misses
    cdef bint _purge_lru
    cdef object _ask, _clock

    def __cinit__(self):
        self._held = False

    def __init__(self, memory, geometry, *, largest, sequence, tick, purge_lru, ask, clock):
        PyObject_GetBuffer(memory, &self._buffer, PyBUF_SIMPLE)
        self._held = True
        self._memory = <uint8_t *>self._buffer.buf
        self._words = <int64_t *>self._buffer.buf
        self._size = self._buffer.len
        if self._size < geometry.size:
            raise ValueError(f"{self._size} bytes are no table of {geometry.size}")
        self._items = geometry.items
        self._slots_at = geometry.slots_at
        self._slot_size = geometry.slot_size
        self._buckets_at = geometry.buckets_at
        self._ticks_at = geometry.ticks_at
        self._keysize = geometry.keysize
        self._largest = largest
        self._mask = geometry.buckets - 1
        self._prime = geometry.hash_prime
        self._salt = geometry.hash_salt
        self._sequence = sequence
        self._tick = tick
        self._purge_lru = purge_lru
        self._ask = ask
        self._clock = clock
        self._hits = self._misses = 0

    def __dealloc__(self):
        if self._held:
            PyBuffer_Release(&self._buffer)

    def count_in(self, Py_ssize_t hits, Py_ssize_t misses):
        self._hits = hits
        self._misses = misses

    cdef uint64_t _hash(self, const uint8_t *key, Py_ssize_t length) noexcept:
        # The key as a little-endian number, taken modulo the prime from its end on.
        cdef Py_ssize_t at = length & ~7
        cdef uint64_t word = 0, rest = 0
        cdef geuwsgi_wide wide
        if at < length:
            memcpy(&word, key + at, length - at)
            rest = word % self._prime
        while at:
            at -= 8
            memcpy(&word, key + at, 8)
            wide = rest
            wide = (wide << 64) | word
            rest = <uint64_t>(wide % self._prime)
        wide = rest
        wide = wide * self._salt + <uint64_t>length
        return <uint64_t>(wide % self._prime) + 1

    def get(self, bytes key not None):
        """Return the value, or None if there is none."""
        cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(key)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(key)
        cdef uint64_t wanted = self._hash(text, length)
        cdef int64_t sequence = (<volatile int64_t *>self._words)[self._sequence]
        cdef int64_t item, tick
        cdef Py_ssize_t record
        cdef Record found
        cdef bytes value = None
        if sequence & 1:
            return self._ask(key, wanted)
        geuwsgi_barrier()
        item = (<int32_t *>(self._memory + self._buckets_at))[wanted & self._mask]
        while item:
            if item < 0 or item > self._items:
                return self._ask(key, wanted)
            record = self._slots_at + item * self._slot_size
            memcpy(&found, self._memory + record, sizeof(Record))
            if (
                <uint64_t>found.hash == wanted
                and found.key_length == length
                and length <= self._keysize
                and memcmp(self._memory + record + 64, text, length) == 0
            ):
                if (
                    <int64_t>found.length > self._largest
                    or found.at < 0
                    or found.at > self._size - <int64_t>found.length
                ):
                    return self._ask(key, wanted)
                value = PyBytes_FromStringAndSize(
                    <char *>self._memory + found.at, found.length
                )
                break
            item = found.following
            geuwsgi_barrier()
            if (<volatile int64_t *>self._words)[self._sequence] != sequence:
                return self._ask(key, wanted)  # the chain may have become a ring
        geuwsgi_barrier()
        if (<volatile int64_t *>self._words)[self._sequence] != sequence:
            return self._ask(key, wanted)
        if item and (found.expires == NEVER or found.expires > self._clock()):
            self._words[self._hits] += 1
            if self._purge_lru:
                tick = self._words[self._tick] + 1
                self._words[self._tick] = tick
                (<int64_t *>(self._memory + self._ticks_at))[item] = tick
            return value
        self._words[self._misses] += 1
        return None
