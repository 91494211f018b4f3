# C types for cgiconnection.py, when it is compiled.
from geuwsgi.server.connection cimport Connection


cdef class CgiConnection(Connection):
    cpdef complete_environ(self, dict environ)
