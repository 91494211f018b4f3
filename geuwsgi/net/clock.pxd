cdef class Clock:
    cdef public double now, wall_offset
    cdef public object date_line
    cdef long long _second
    cpdef tick(self)
