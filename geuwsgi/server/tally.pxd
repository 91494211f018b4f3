# C types for tally.pyx.

cdef class Tally:
    cdef Py_buffer _buffer
    cdef long long *_row
    cdef Py_ssize_t _running_time_us, _tx_bytes, _requests, _cores_busy

    cdef Py_ssize_t _place(self, Py_ssize_t field) except -1
    cdef request_begins(self)
    cdef request_ends(self, double seconds, long long sent)
