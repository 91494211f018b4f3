cdef class Cores:
    cdef object _available, _exhausted, _hub, _waiting
    cdef public object count
    cdef public list free, served
    cdef public dict holders
    cpdef take(self, holder)
    cpdef give(self, core)
    cpdef lend(self, core)
