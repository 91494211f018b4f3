# C types for server.py, when it is compiled.
cimport cython

cdef double _PATIENCE, _MOST_PATIENCE, _IMPATIENCE, _LEAST_REST, _MOST_REST
cdef int _READ


cdef class Acceptor:
    cdef object _accept, _accepted, _excess, _failed, _loop, _timer, _watcher
    cdef Py_ssize_t _batch, _most
    cdef double _impatient_until, _rest_s
    cdef bint _was_patient
    cdef public bint accepting
    cdef public object socket

    @cython.locals(taken=Py_ssize_t, has_grown=bint, excess=Py_ssize_t, found=tuple)
    cpdef _on_readable(self)
    cpdef _start(self)
    cdef bint _is_impatient(self)
    cdef _rest(self, double seconds)
    cdef _rest_longer(self)
    cdef _stop(self)
