# C types for httpconnection.py, when it is compiled.
cimport cython

from geuwsgi.net.clock cimport Clock
from geuwsgi.net.stream cimport Stream
from geuwsgi.protocol.http1 cimport HeadParser
from geuwsgi.server.connection cimport Connection
from geuwsgi.server.exchange cimport Exchange
from geuwsgi.server.site cimport Site


cdef class HttpConnection(Connection):
    cdef bint _has_asked, _is_reused, _is_woken
    cdef bytes _known_fields, _known_head, _received
    cdef dict _known_environ
    cdef tuple _known_framing

    @cython.locals(exchange=Exchange, end=Py_ssize_t, stream=Stream, received=bytes)
    cpdef next_exchange(self)
    @cython.locals(stream=Stream, clock=Clock, received=bytes)
    cdef bytes _next_bytes(self)
    cpdef settle(self, exchange)
    @cython.locals(stream=Stream)
    cpdef rest(self)
    @cython.locals(
        site=Site, exchange=Exchange, head=bytes, environ=dict, rest=bytes, flags=int
    )
    cdef Exchange _exchange(self, bytes received, Py_ssize_t end)
    @cython.locals(
        parser=HeadParser, fields=bytes, line_end=Py_ssize_t, environ=dict, flags=int
    )
    cdef tuple _parse(self, bytes head)
