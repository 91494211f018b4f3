cimport cython


cdef class RenderedHead:
    cdef readonly int code
    cdef readonly object reason
    cdef public bytes start, framed
    cdef public Py_ssize_t count
    cdef public long long content_length
    cdef public bint has_date, has_no_body, wants_close


cdef class HeadRenderer:
    cdef dict _kinds, _statuses, _heads
    cdef str _last_status
    cdef list _last_headers
    cdef RenderedHead _last_head

    cpdef RenderedHead render(self, status, headers)
    @cython.locals(head=RenderedHead, kinds=dict, lines=list, count=Py_ssize_t)
    cdef RenderedHead _render(self, status, headers)
