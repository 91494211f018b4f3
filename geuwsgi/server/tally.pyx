# cython: language_level=3
"""As tally.py, through a pointer."""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

from geuwsgi.shared import scoreboard


cdef class Tally:
    def __cinit__(self, row):
        PyObject_GetBuffer(row, &self._buffer, PyBUF_WRITABLE)
        self._row = <long long *>self._buffer.buf
        self._cores_busy = self._place(scoreboard.CORES_BUSY)
        self._requests = self._place(scoreboard.REQUESTS)
        self._running_time_us = self._place(scoreboard.RUNNING_TIME_US)
        self._tx_bytes = self._place(scoreboard.TX_BYTES)

    def __dealloc__(self):
        PyBuffer_Release(&self._buffer)

    cdef Py_ssize_t _place(self, Py_ssize_t field) except -1:
        if not 0 <= field < self._buffer.len // <Py_ssize_t>sizeof(long long):
            raise IndexError(field)
        return field

    cdef request_begins(self):
        self._row[self._cores_busy] += 1

    cdef request_ends(self, double seconds, long long sent):
        self._row[self._cores_busy] -= 1
        self._row[self._requests] += 1
        self._row[self._running_time_us] += <long long>(seconds * 1e6)
        self._row[self._tx_bytes] += sent
