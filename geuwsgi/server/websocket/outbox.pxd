# C types for outbox.py, when it is compiled.

cdef class Outbox:
    cdef object _backlog, _clock, _stream, _timeout, _turn
    cdef Py_ssize_t _backlog_bytes, _senders
    cdef bytes _close, _pong, _rest
    cdef readonly bint busy
    cdef public bint progress, shut
    cdef readonly bytearray held
    cdef readonly long long sent

    cpdef write(self, bytes frame)
    cpdef write_rest(self, bytes frame, Py_ssize_t sent)
    cpdef bint hold(self, bytes frame) except -1
    cpdef release(self)
    cpdef bint push(self, bytes frame) except -1
    cpdef bint push_rest(self, bytes frame, Py_ssize_t sent) except -1
    cdef bint _write_now(self, bytes frame) except -1
