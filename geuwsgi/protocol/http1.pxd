# C types for http1.py, when it is compiled.
cimport cython


cdef class HeadParser:
    cdef dict _keys, _connections, _lines
    cdef set _methods, _hosts
    cdef public object _reader
    cdef Py_ssize_t _max_fields

    @cython.locals(
        text=str,
        lines=list,
        fields=Py_ssize_t,
        flags=int,
        keys=dict,
        known=dict,
        expected=Py_ssize_t,
        line=str,
        name=str,
        value=str,
        line_end=Py_ssize_t,
        unknown=bint,
        done=int,
    )
    cpdef tuple parse(self, bytes head, dict environ)
    cpdef parse_line(self, bytes line, dict environ)
    cdef int _read_line(self, bytes line, dict environ) except -1
    @cython.locals(flags=int, method=str, target=str, version=str, path=str, query=str)
    cdef int _parse_request_line(self, str line, dict environ) except -1
    cdef tuple _framing(self, dict environ, int flags)
