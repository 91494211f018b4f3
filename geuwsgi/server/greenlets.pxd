# C types for greenlets.py, when it is compiled.

cdef class Greenlets:
    cdef object _feed, _hub, _life, _serve
    cdef list _spare
    cdef readonly object ready

    cpdef serve_soon(self, connection)
    cpdef serve_now(self, connection)
    cpdef serve_ready(self)
    cpdef keep(self, current)
