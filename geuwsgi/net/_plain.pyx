# cython: language_level=3
"""Connected sockets without what a socket object costs, and how they are accepted.

A ``_socket.socket`` made of a descriptor asks the kernel for its name, is told apart
from a blocking one by a second system call, and gives up the interpreter's lock for
calls that never wait: 3 microseconds of a connection with one request. accept4(2)
says all of that at once.

Everything here runs with the interpreter's lock and never blocks.
"""

import _socket

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.errno cimport EAGAIN, EINTR, errno


cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <netinet/in.h>
    #include <sys/socket.h>
    #include <sys/un.h>
    #include <unistd.h>

    /* Accept without ever blocking, now or later; -1 and errno if that fails. */
    static int geuwsgi_accept(int listening, struct sockaddr_storage *peer, socklen_t *size) {
    #if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
        return accept4(listening, (struct sockaddr *)peer, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    #else
        int fd = accept(listening, (struct sockaddr *)peer, size);
        if (fd >= 0 && (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)) {
            int why = errno;
            close(fd);
            errno = why;
            return -1;
        }
        return fd;
    #endif
    }

    /* Bytes of a request are read here first: an object of the size asked for would be
       allocated and made smaller for each of them. Whoever uses it has the lock. */
    static char geuwsgi_received[16384];
    """
    ctypedef unsigned int socklen_t
    ctypedef unsigned short in_port_t
    ctypedef unsigned int uint32_t
    int AF_INET, AF_INET6, AF_UNIX
    struct sockaddr_storage:
        int ss_family
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        pass
    struct sockaddr_in:
        in_port_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        in_port_t sin6_port
        uint32_t sin6_flowinfo
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    int geuwsgi_accept(int, sockaddr_storage *, socklen_t *)
    enum: INET6_ADDRSTRLEN
    int c_close "close"(int)
    int c_shutdown "shutdown"(int, int)
    ssize_t c_recv "recv"(int, void *, size_t, int)
    ssize_t c_send "send"(int, const void *, size_t, int)
    const char *inet_ntop(int, const void *, char *, socklen_t)
    int ntohs(int)
    uint32_t ntohl(uint32_t)
    char geuwsgi_received[16384]


cdef extern from "Python.h":
    PyObject *_new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t) except NULL
    object _bytes_of "PyBytes_FromStringAndSize"(const char *, Py_ssize_t)
    int _PyBytes_Resize(PyObject **, Py_ssize_t) except -1


cdef enum:
    SMALL = 16384


cdef class PlainSocket:
    """What a stream needs of a ``_socket.socket`` that never blocks.

    Owns its descriptor until ``close`` or ``to_socket``.
    """

    cdef int _descriptor

    def __cinit__(self, int descriptor):
        self._descriptor = descriptor

    def __dealloc__(self):
        if self._descriptor >= 0:
            c_close(self._descriptor)

    def fileno(self):
        return self._descriptor

    def to_socket(self):
        """Return the socket of the library for it, which owns the descriptor now."""
        sock = _socket.socket(fileno=self._descriptor)
        self._descriptor = -1
        sock.setblocking(False)
        return sock

    def recv(self, Py_ssize_t size):
        """As socket.recv; BlockingIOError if nothing is there."""
        cdef Py_ssize_t count
        cdef PyObject *whole
        cdef object received
        if size <= SMALL:
            count = self._recv(geuwsgi_received, size)
            return _bytes_of(geuwsgi_received, count)
        whole = _new_bytes(NULL, size)
        try:
            count = self._recv(PyBytes_AS_STRING(<object>whole), size)
        except BaseException:
            Py_DECREF(<object>whole)
            raise
        _PyBytes_Resize(&whole, count)
        received = <object>whole
        Py_DECREF(<object>whole)
        return received

    cdef Py_ssize_t _recv(self, char *place, Py_ssize_t size) except -1:
        cdef Py_ssize_t count
        while True:
            count = c_recv(self._descriptor, place, size, 0)
            if count >= 0:
                return count
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()

    def send(self, octets, int flags=0):
        """As socket.send; BlockingIOError if the peer is slow."""
        cdef Py_buffer view
        PyObject_GetBuffer(octets, &view, PyBUF_SIMPLE)
        try:
            return self._send(view.buf, view.len, flags)
        finally:
            PyBuffer_Release(&view)

    cdef Py_ssize_t _send(self, const void *place, Py_ssize_t size, int flags) except -1:
        cdef Py_ssize_t count
        while True:
            # As Python does, SIGPIPE is ignored.
            count = c_send(self._descriptor, place, size, flags)
            if count >= 0:
                return count
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()

    def shutdown(self, int how):
        if c_shutdown(self._descriptor, how) < 0:
            PyErr_SetFromErrno(OSError)

    def close(self):
        """Close it; errors have nobody who could do anything about them."""
        cdef int descriptor = self._descriptor
        self._descriptor = -1
        if descriptor >= 0:
            c_close(descriptor)


cdef class Backlog:
    """What waits on ``listening``, a descriptor that never blocks."""

    cdef int _listening
    cdef uint32_t _last_host
    cdef str _last_text

    def __cinit__(self, int listening):
        self._listening = listening

    def accept(self):
        """Return the next (PlainSocket, address), None if none waits.

        The address is what ``socket.accept`` says; OSError is raised as there.
        """
        cdef sockaddr_storage peer
        cdef socklen_t size
        cdef int fd
        while True:
            size = sizeof(peer)
            fd = geuwsgi_accept(self._listening, &peer, &size)
            if fd >= 0:
                break
            if errno == EAGAIN:
                return None
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()
        sock = PlainSocket.__new__(PlainSocket, fd)
        return sock, self._address(&peer, size)

    cdef _address(self, sockaddr_storage *peer, socklen_t size):
        cdef char text[INET6_ADDRSTRLEN]
        cdef sockaddr_in *four
        cdef sockaddr_in6 *six
        if size == 0 or peer.ss_family == AF_UNIX:
            # Clients that bind themselves to a name are not asked for it.
            return ""
        if peer.ss_family == AF_INET:
            four = <sockaddr_in *>peer
            if self._last_text is None or four.sin_addr.s_addr != self._last_host:
                inet_ntop(AF_INET, &four.sin_addr, text, sizeof(text))
                self._last_text = text.decode("ascii")
                self._last_host = four.sin_addr.s_addr
            return self._last_text, ntohs(four.sin_port)
        six = <sockaddr_in6 *>peer
        inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof(text))
        return (
            text.decode("ascii"),
            ntohs(six.sin6_port),
            ntohl(six.sin6_flowinfo),
            six.sin6_scope_id,
        )
