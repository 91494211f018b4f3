cdef class Clock:
    cdef public double now, wall_offset
    cdef public bytes date_end, date_line
    cdef long long _second
    cpdef tick(self)
