# C types for socketcalls.pyx.

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen


cdef class SocketCalls:
    cdef public object _hub, _sock
    cdef public int _fd
    cdef bint _is_plain

    cdef _receive(self, Py_ssize_t size)
    cdef _receive_by_name(self, Py_ssize_t size)
    cdef Py_ssize_t _transmit(self, octets, int flags) except -1
    cdef Py_ssize_t _transmit_both(self, first, second) except -1
    cdef Py_ssize_t _send_message(self, msghdr *message) except -1
    cdef _current(self)
    cdef _switch_to_hub(self)
    cdef _switch_to(self, waiting)
    cdef _close_socket(self)
    cdef Py_ssize_t _send(self, const char *octets, Py_ssize_t size, int flags) except -1
