# C types for engine.py, when it is compiled.

cimport cython

from geuwsgi.protocol.websocket cimport MessageDecoder
from geuwsgi.server.websocket.life cimport Life

cdef int _OPEN, _CLOSED, _NOTHING, _LAST_MESSAGE, _PAUSED, _PING
cdef int _FAIR_STREAK, _FAIR_SHIFT, _PINGS_AT_ONCE
cdef Py_ssize_t _RECEIVE_SIZE


cdef class WebSocket(Life):
    cdef object __weakref__
    cdef public object opcode, peekable, subprotocol
    cdef MessageDecoder _decoder
    cdef object _deflater
    cdef bint _paused
    cdef double _hold_until
    cdef int _streak

    @cython.locals(decoder=MessageDecoder, kind=int, pings=int)
    cdef _next_message(self)
    cdef _check_receiver(self)
    cdef _fill(self)
    cdef _take(self, bytes received)
    @cython.locals(decoder=MessageDecoder)
    cpdef recv(self, bint leave_rest=*)
    cdef _may_hold(self)
    cpdef send(self, payload, opcode=*)
    cpdef bint push(self, bytes frame, bint compressed=*) except -1
    cpdef Py_ssize_t window_bits_for(self, payload) except -1
