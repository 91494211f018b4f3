# C types for uwsgiconnection.py, when it is compiled.
cimport cython

from geuwsgi.net.stream cimport Stream
from geuwsgi.server.cgiconnection cimport CgiConnection
from geuwsgi.server.exchange cimport Exchange
from geuwsgi.server.site cimport Site


cdef class UwsgiConnection(CgiConnection):
    @cython.locals(
        site=Site,
        exchange=Exchange,
        end=Py_ssize_t,
        size=Py_ssize_t,
        stream=Stream,
        received=bytes,
        environ=dict,
    )
    cpdef next_exchange(self)
