# C types for httpconnection.py, when it is compiled.
cimport cython

from geuwsgi.net.clock cimport Clock
from geuwsgi.net.stream cimport Stream
from geuwsgi.protocol.http1 cimport HeadParser
from geuwsgi.server.connection cimport Connection
from geuwsgi.server.exchange cimport Exchange
from geuwsgi.server.site cimport Limits, Site


cdef long long _CHUNKED
cdef int _ENDS, _STAYS, _RESTS
cdef int _EXPECT_CONTINUE, _HTTP_1_0, _KEEP_ALIVE, _UPGRADE


cdef class HttpConnection(Connection):
    cdef bint _has_asked, _is_reused, _is_woken
    cdef bytes _known_fields, _known_head, _received
    cdef dict _known_environ
    cdef long long _known_length
    cdef int _known_flags

    @cython.locals(
        exchange=Exchange,
        end=Py_ssize_t,
        stream=Stream,
        received=bytes,
        known=bytes,
        environ=dict,
        limits=Limits,
        length="long long",
        flags=int,
    )
    cpdef next_exchange(self)
    @cython.locals(stream=Stream, clock=Clock, received=bytes, limits=Limits)
    cdef bytes _next_bytes(self)
    cpdef int settle(self, Exchange exchange) except -1
    @cython.locals(stream=Stream)
    cdef int _rest(self) except -1
    cpdef wake(self)
    @cython.locals(exchange=Exchange, rest=bytes)
    cdef Exchange _exchange(
        self,
        dict environ,
        long long length,
        int flags,
        bytes received,
        Py_ssize_t end,
    )
    @cython.locals(
        parser=HeadParser,
        fields=bytes,
        line_end=Py_ssize_t,
        environ=dict,
        length="long long",
        flags=int,
    )
    cdef tuple _parse(self, bytes head)
    @cython.locals(site=Site)
    cdef tuple _parse_anew(self, bytes head, dict environ)
