# C types for websocket.py, when it is compiled.

cimport cython

from geuwsgi.server.websocket.engine cimport WebSocket as Engine


cdef class WebSocket:
    cdef readonly Engine _engine
    cdef readonly object _upgrade

    @cython.locals(engine=Engine)
    cpdef recv(self, timeout=*)
    cpdef send(self, message)


@cython.locals(connection=WebSocket, engine=Engine, plain=bytes, reached=Py_ssize_t, bits=Py_ssize_t)
cpdef broadcast(connections, message)
