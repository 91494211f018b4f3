# cython: language_level=3
"""As socketcalls.py, by the calls of the C library and of greenlet."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memset

import _socket

try:
    from geuwsgi.net._plain import PlainSocket
except ImportError:
    PlainSocket = ()

import greenlet as _greenlet  # before its C interface is asked for


cdef extern from "<sys/socket.h>" nogil:
    ssize_t c_recv "recv"(int fd, void *buffer, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void *buffer, size_t size, int flags)
    ssize_t c_sendmsg "sendmsg"(int fd, const msghdr *message, int flags)
    enum:
        MSG_DONTWAIT

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **octets, Py_ssize_t size) except -1
    PyObject *PyBytes_New "PyBytes_FromStringAndSize"(char *octets, Py_ssize_t size)
    void Py_XDECREF(PyObject *)

cdef extern from *:
    """
    /* greenlet's C interface is a capsule of function pointers whose places do not
       change; its header may not be there. */
    static void **geuwsgi_greenlet = NULL;

    static int geuwsgi_import_greenlet(void) {
        geuwsgi_greenlet = (void **)PyCapsule_Import("greenlet._C_API", 0);
        return geuwsgi_greenlet == NULL ? -1 : 0;
    }

    #define geuwsgi_current() (((PyObject * (*)(void)) geuwsgi_greenlet[4])())

    #define geuwsgi_switch(to) \\
        (((PyObject * (*)(PyObject *, PyObject *, PyObject *)) geuwsgi_greenlet[6])( \\
            (to), NULL, NULL))
    """
    int geuwsgi_import_greenlet() except -1
    object geuwsgi_current()
    object geuwsgi_switch(object to)


cdef enum:
    # What is asked for at most where a request is expected.
    SMALL = 16384

# With the interpreter's lock, which is kept during the calls: they never wait.
cdef char received_bytes[SMALL]

geuwsgi_import_greenlet()


cdef class SocketCalls:
    """See socketcalls.py. A socket of a kind of its own is asked by its own methods."""

    def __init__(self, sock, hub):
        self._sock = sock
        self._fd = sock.fileno()
        self._hub = hub
        self._is_plain = type(sock) is _socket.socket or type(sock) is PlainSocket

    cdef _receive(self, Py_ssize_t size):
        cdef ssize_t count
        cdef PyObject *octets = NULL
        cdef char *buffer = received_bytes
        if not self._is_plain:
            return self._receive_by_name(size)
        if size > SMALL:
            octets = PyBytes_New(NULL, size)
            if octets == NULL:
                raise MemoryError
            buffer = PyBytes_AS_STRING(<object>octets)
        while True:
            count = c_recv(self._fd, buffer, size, MSG_DONTWAIT)
            if count >= 0:
                break
            if errno == EAGAIN:
                Py_XDECREF(octets)
                return None
            if errno != EINTR:
                Py_XDECREF(octets)
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()
        if octets == NULL:
            return PyBytes_FromStringAndSize(buffer, count)
        _PyBytes_Resize(&octets, count)
        received = <object>octets
        Py_XDECREF(octets)
        return received

    cdef _receive_by_name(self, Py_ssize_t size):
        try:
            return self._sock.recv(size)
        except BlockingIOError:
            return None

    cdef Py_ssize_t _transmit(self, octets, int flags) except -1:
        cdef Py_buffer view
        cdef Py_ssize_t sent
        if not self._is_plain:
            try:
                return self._sock.send(octets, flags)
            except BlockingIOError:
                return 0
        if PyBytes_CheckExact(octets):
            return self._send(PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets), flags)
        PyObject_GetBuffer(octets, &view, PyBUF_SIMPLE)
        try:
            sent = self._send(<const char *>view.buf, view.len, flags)
        finally:
            PyBuffer_Release(&view)
        return sent

    cdef Py_ssize_t _send(self, const char *octets, Py_ssize_t size, int flags) except -1:
        cdef ssize_t count
        while True:
            count = c_send(self._fd, octets, size, flags | MSG_DONTWAIT)
            if count >= 0:
                return count
            if errno == EAGAIN:
                return 0
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()

    cdef Py_ssize_t _transmit_both(self, first, second) except -1:
        cdef Py_buffer views[2]
        cdef iovec pieces[2]
        cdef msghdr message
        cdef int i
        if not self._is_plain:
            try:
                return self._sock.sendmsg((first, second))
            except BlockingIOError:
                return 0
        PyObject_GetBuffer(first, &views[0], PyBUF_SIMPLE)
        try:
            PyObject_GetBuffer(second, &views[1], PyBUF_SIMPLE)
        except BaseException:
            PyBuffer_Release(&views[0])
            raise
        for i in range(2):
            pieces[i].iov_base = views[i].buf
            pieces[i].iov_len = views[i].len
        memset(&message, 0, sizeof(message))
        message.msg_iov = pieces
        message.msg_iovlen = 2
        try:
            return self._send_message(&message)
        finally:
            PyBuffer_Release(&views[0])
            PyBuffer_Release(&views[1])

    cdef Py_ssize_t _send_message(self, msghdr *message) except -1:
        cdef ssize_t count
        while True:
            count = c_sendmsg(self._fd, message, MSG_DONTWAIT)
            if count >= 0:
                return count
            if errno == EAGAIN:
                return 0
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()

    cdef _current(self):
        return geuwsgi_current()

    cdef _switch_to_hub(self):
        geuwsgi_switch(self._hub)

    cdef _switch_to(self, waiting):
        geuwsgi_switch(waiting)

    cdef _close_socket(self):
        self._fd = -1
        self._sock.close()
