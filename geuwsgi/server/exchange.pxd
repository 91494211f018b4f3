# C types for exchange.py, when it is compiled.
cimport cython

from geuwsgi.net.clock cimport Clock
from geuwsgi.server.cores cimport Cores
from geuwsgi.server.site cimport Site
from geuwsgi.wsgi.response cimport HeadRenderer, RenderedHead


cdef Py_ssize_t _LENT


cdef class Exchange:
    cdef object __weakref__
    cdef public Site site
    cdef public object connection, environ
    cdef public Py_ssize_t core, _core
    cdef public object greenlet
    cdef public bint keep_alive, chunks_allowed
    cdef public object input, received, protocol
    cdef public long long packet_size, vars_count
    cdef public object status, headers
    cdef public RenderedHead head
    cdef public bint headers_sent, complete, upgraded, failed, replaceable
    cdef public object upgrade, wait, removed_headers, transformations
    cdef public object _extra_headers
    cdef public int _framing
    cdef public long long _left
    cdef public double started, duration, deadline, _began
    cdef public bint abort_requested
    cdef public long long app_number, app_requests, body_bytes, header_bytes, switches
    cdef public object via, logvars
    cdef public bint log_this, log_forced
    cdef public object _on_end, _spilled

    @cython.locals(site=Site, cores=Cores, free=list, core=Py_ssize_t, began=double, clock=Clock)
    cpdef begin(self)
    @cython.locals(site=Site)
    cpdef choose(self)
    @cython.locals(site=Site, cores=Cores, core=Py_ssize_t, duration=double)
    cpdef conclude(self)
    cpdef release_core(self)
    @cython.locals(renderer=HeadRenderer)
    cpdef start_response(self, status, headers, exc_info=*)
    cpdef write(self, chunk)
    cpdef write_whole(self, body)
    cpdef finish(self)
    cdef RenderedHead _require_head(self)
    @cython.locals(
        head=RenderedHead, length="long long", body_length="long long", octets=bytes
    )
    cpdef _write_head(self, long long known_length, first, bint file_follows=*)
    cpdef _write_more(self, chunk)
    cpdef take_lent_core(self)
    cdef _send_spilled(self)


@cython.locals(exchange=Exchange, due=list)
cpdef list overdue(dict holders, double now)
