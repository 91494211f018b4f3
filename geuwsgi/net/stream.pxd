cimport cython
from geuwsgi.net.clock cimport Clock
from geuwsgi.net.socketcalls cimport SocketCalls

cdef int _READ, _WRITE, _MORE

cdef class Sleeper:
    cpdef wake(self)


cdef class Stream(SocketCalls):
    cdef public bint _armed, closed
    cdef public Clock _clock
    cdef public object _reader, _watcher, _writer
    cdef public Sleeper _sleeper
    cdef public object _failure
    cdef public Py_ssize_t unsent
    cdef public double deadline, write_deadline, write_timeout

    cpdef recv(self, Py_ssize_t size)
    cpdef recv_after_wait(self, Py_ssize_t size)
    cpdef recv_nowait(self, Py_ssize_t size)
    cdef _recv_late(self, Py_ssize_t size)
    cpdef wait_readable(self)
    cpdef rest(self, Sleeper sleeper)
    cdef _arm(self)
    @cython.locals(sent=Py_ssize_t)
    cpdef send_all(self, octets)
    cpdef Py_ssize_t send_nowait(self, octets) except -1
    cpdef Py_ssize_t send_both_nowait(self, first, second) except -1
    @cython.locals(sent=Py_ssize_t)
    cpdef send_last(self, octets, before_waiting)
