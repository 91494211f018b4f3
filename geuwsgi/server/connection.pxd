# C types for connection.py, when it is compiled.
cimport cython

from geuwsgi.server.exchange cimport Exchange
from geuwsgi.server.site cimport Site


cdef class Connection:
    cdef object __weakref__
    cdef public Site site
    cdef public object limits, stream, pending
    cdef public dict environ
    cdef public str peer_address, peer_port
    cdef public Py_ssize_t listener
    cdef public bint idle, is_adopted, is_head, is_relayed

    @cython.locals(environ=dict)
    cpdef dict new_environ(self)
    cpdef next_exchange(self)
    cpdef settle(self, exchange)
    cpdef rest(self)
    cpdef closing_lines(self, exchange, head)
    cpdef bint await_small_body(self, body) except -1


@cython.locals(connection=Connection, due=list)
cpdef list overdue_streams(set connections, double now)
