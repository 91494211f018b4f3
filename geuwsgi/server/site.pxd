# C types for site.py, when it is compiled.
from geuwsgi.net.clock cimport Clock
from geuwsgi.protocol.http1 cimport HeadParser
from geuwsgi.server.cores cimport Cores
from geuwsgi.server.greenlets cimport Greenlets
from geuwsgi.server.tally cimport Tally
from geuwsgi.wsgi.response cimport HeadRenderer


cdef class Limits:
    cdef public long long head_bytes, head_fields, body_bytes, discard_bytes
    cdef public long long post_buffering
    cdef public double head_timeout, body_timeout, write_timeout, keepalive_timeout
    cdef public bint keep_alive


cdef class Site:
    cdef public object hub, counters, base_environ, find_application, error_answers, stamp
    cdef public object send_file, log_request, log_forced, modifiers, request_ended, sticky
    cdef public object hand_over, exception_seen, shows_exceptions, worker_id, quiet_disconnects
    cdef public object drain_begins, connections, lending, unsent, vars_reader
    cdef public Clock clock
    cdef public Cores cores
    cdef public tuple stages, response_filters, upgrade_offers
    cdef public double harakiri
    cdef public bint trust_forwarded_proto, draining
    cdef public Tally tally
    cdef public Greenlets greenlets
    cdef public HeadParser parser
    cdef public HeadRenderer renderer
