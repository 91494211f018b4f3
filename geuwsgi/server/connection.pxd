# C types for connection.py, when it is compiled.
cimport cython

from geuwsgi.server.exchange cimport Carrier, Exchange


cdef class Connection(Carrier):
    cdef object __weakref__
    cdef public object pending
    cdef public dict environ
    cdef public str peer_address, peer_port
    cdef public Py_ssize_t listener
    cdef public bint idle, is_adopted, is_relayed

    @cython.locals(environ=dict)
    cpdef dict new_environ(self)
    cpdef next_exchange(self)
    cpdef int settle(self, Exchange exchange) except -1
    cpdef bint await_small_body(self, body) except -1


@cython.locals(connection=Connection, due=list)
cpdef list overdue_streams(set connections, double now)
