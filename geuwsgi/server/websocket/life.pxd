# C types for life.py, when it is compiled.

from geuwsgi.server.websocket.outbox cimport Outbox


cdef class Life:
    cdef public object close_code, close_reason
    cdef object _clock, _settings, _stream
    cdef Outbox _outbox
    cdef bint _heard, _receiving
    cdef int _state
    cdef object _silent, _unread

    cpdef tick(self)
