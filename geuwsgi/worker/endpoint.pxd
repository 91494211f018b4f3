# C types for endpoint.py, when it is compiled.
cimport cython

from geuwsgi.net.stream cimport Stream
from geuwsgi.server.connection cimport Connection
from geuwsgi.server.httpconnection cimport HttpConnection
from geuwsgi.server.site cimport Site


cdef class Endpoint:
    cdef public object _edge, _limits
    cdef object _front
    cdef dict _environ, _unix_environ
    cdef Py_ssize_t _index
    cdef bint _is_unix
    cdef str _last_address
    cdef Site _site
    cdef public object family

    @cython.locals(
        site=Site, environ=dict, stream=Stream, connection=Connection
    )
    cpdef Connection accept(self, sock, address)
