# C types for exchange.py, when it is compiled.
cimport cython

from geuwsgi.net.clock cimport Clock
from geuwsgi.net.stream cimport Sleeper, Stream
from geuwsgi.server.cores cimport Cores
from geuwsgi.server.site cimport Limits, Site
from geuwsgi.server.tally cimport Tally
from geuwsgi.wsgi.response cimport HeadRenderer, RenderedHead


cdef Py_ssize_t _LENT
cdef int _BY_LENGTH, _BY_CHUNKS, _BY_CLOSE, _NO_BODY
cdef Py_ssize_t _JOINED_BYTES
cdef double _TURN_S


cdef class Carrier(Sleeper):
    cdef public Site site
    cdef public object stream
    cdef public Limits limits
    cdef public bint is_head

    cpdef bytes end_of_head(self, Exchange exchange, RenderedHead head)


cdef class Exchange:
    cdef object __weakref__
    cdef public Site site
    cdef public Carrier connection
    cdef public dict environ
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
    cdef public double started, duration, deadline, _began, _turn_ends
    cdef public bint abort_requested
    cdef public long long app_number, app_requests, body_bytes, header_bytes, switches
    cdef public object via, logvars
    cdef public bint log_this, log_forced
    cdef public object _on_end, _spilled
    cdef public long long _last_length
    cdef public bytes _size_line

    @cython.locals(site=Site, cores=Cores, free=list, began=double, clock=Clock)
    cpdef begin(self)
    @cython.locals(site=Site)
    cpdef choose(self)
    @cython.locals(site=Site, cores=Cores, core=Py_ssize_t, duration=double)
    cpdef conclude(self)
    cpdef release_core(self)
    @cython.locals(renderer=HeadRenderer)
    cpdef start_response(self, status, headers, exc_info=*)
    cpdef write(self, chunk)
    cpdef take_turns(self)
    cpdef yield_to_others(self)
    cpdef write_whole(self, body)
    cpdef bint write_if_whole(self, result) except -1
    cpdef finish(self)
    cdef RenderedHead _require_head(self)
    @cython.locals(
        head=RenderedHead,
        length="long long",
        body_length="long long",
        octets=bytes,
        start=bytes,
        connection=Carrier,
        plain=Stream,
        sent=Py_ssize_t,
    )
    cpdef _write_head(self, long long known_length, first, bint file_follows=*)
    @cython.locals(length="long long")
    cpdef _write_more(self, chunk)
    cpdef take_lent_core(self)
    cdef _send_spilled(self)
    @cython.locals(plain=Stream)
    cpdef _send(self, octets)


@cython.locals(exchange=Exchange, due=list)
cpdef list overdue(dict holders, double now)
