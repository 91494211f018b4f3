cimport cython


cdef class RenderedHead:
    cdef readonly int code
    cdef readonly object reason
    cdef public bytes start
    cdef public Py_ssize_t count
    cdef public long long content_length
    cdef public bint has_date, wants_close


cdef class HeadRenderer:
    cdef dict _kinds, _statuses, _heads

    cpdef RenderedHead render(self, status, headers)
    @cython.locals(head=RenderedHead, kinds=dict, lines=list, count=Py_ssize_t)
    cdef RenderedHead _render(self, status, headers)
