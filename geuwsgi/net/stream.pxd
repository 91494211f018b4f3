cimport cython
from geuwsgi.net.clock cimport Clock

cdef int _READ, _WRITE, _MORE

cdef class Stream:
    cdef public bint _armed, closed
    cdef public Clock _clock
    cdef public object _hub, _reader, _sock, _watcher, _writer
    cdef public object _rested, _failure
    cdef public int _fd
    cdef public Py_ssize_t unsent
    cdef public double deadline, write_deadline, write_timeout

    cpdef recv(self, size)
    cpdef recv_after_wait(self, size)
    cpdef recv_nowait(self, size)
    cdef _recv_late(self, size)
    cpdef wait_readable(self)
    cpdef rest(self, rested)
    cdef _arm(self)
    @cython.locals(sent=Py_ssize_t)
    cpdef send_all(self, octets)
    @cython.locals(sent=Py_ssize_t)
    cpdef send_last(self, octets, before_waiting)
