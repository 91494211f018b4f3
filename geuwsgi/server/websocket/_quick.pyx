# cython: language_level=3, boundscheck=False, wraparound=False
"""A websocket whose usual messages go the short way, where geuwsgi is compiled.

Nearly all messages are one whole frame of less than 64 KiB, received and sent on a
plain socket that takes it at once. For these, here is one C function each: a
system call, one bytes object, no other. Everything else is not judged here but given,
untouched, to the methods of ``WebSocket``, which know all rules.

System calls are made with the interpreter's lock: they never wait, and to give it away
costs as much as the message. So the buffer is one for all.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from geuwsgi.net.stream cimport Stream
from geuwsgi.protocol._mask cimport unmask_into
from geuwsgi.protocol.websocket cimport MessageDecoder
from geuwsgi.server.websocket.engine cimport WebSocket
from geuwsgi.server.websocket.outbox cimport Outbox

from geuwsgi.errors import Disconnected
from geuwsgi.protocol.websocket import encode_frame

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_NOSIGNAL
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    Py_ssize_t recv(int fd, void *buffer, size_t size, int flags)
    Py_ssize_t send(int fd, const void *buffer, size_t size, int flags)
    Py_ssize_t sendmsg(int fd, const msghdr *message, int flags)

cdef enum:
    # As in life.py, protocol/websocket.py and engine.py.
    OPEN = 0
    BETWEEN_MESSAGES = 0
    TEXT_FRAME = 0x81
    BINARY_FRAME = 0x82
    MASKED = 0x80
    FAIR_STREAK = 64
    FAIR_SHIFT = 14
    BUFFER_SIZE = 65536
    # Copied behind their head, rather than given to the kernel in two pieces.
    SHORT = 2048

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    enum:
        CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec *time)


cdef double now():
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec + time.tv_nsec * 1e-9


cdef uint64_t NOT_ASCII = 0x8080808080808080
cdef unsigned char buffer[BUFFER_SIZE]


cdef class QuickWebSocket(WebSocket):
    """As ``WebSocket``, sooner."""

    cpdef recv(self, bint leave_rest=False):
        """Return the next message; see ``WebSocket.recv``."""
        cdef MessageDecoder decoder = self._decoder
        cdef Py_ssize_t used
        cdef bytes message
        if (
            self._streak < FAIR_STREAK
            and self._state == OPEN
            and decoder._state == BETWEEN_MESSAGES
            and not self._paused
        ):
            if decoder._pos < len(decoder._data):
                message = self._whole_message(
                    <const unsigned char *>PyBytes_AS_STRING(decoder._data)
                    + decoder._pos,
                    len(decoder._data) - decoder._pos,
                    &used,
                )
                if message is not None:
                    decoder._pos += used
                    self._streak += 1 + <int>(len(message) >> FAIR_SHIFT)
                    if decoder.has_message():
                        self._may_hold()
                    else:
                        self._hold_until = 0
                    return message
            elif (
                not self._receiving
                and type(self._stream) is Stream
                and not (leave_rest and self.peekable)
            ):
                self._hold_until = 0
                if self._outbox.held is not None:
                    self._outbox.release()
                message = self._received_message()
                if message is not None:
                    return message
        return WebSocket.recv(self, leave_rest)

    cdef bytes _received_message(self):
        """Wait for bytes; return the message if they begin with a whole one.

        None if not: then the decoder has been fed with them, if there were any.
        """
        cdef Stream stream = self._stream
        cdef MessageDecoder decoder = self._decoder
        cdef Py_ssize_t size, used
        cdef int failure
        cdef bytes message
        self._streak = 0
        self._receiving = True
        try:
            stream.wait_readable()
        except Disconnected as error:
            self._lose()
            raise self._closed() from error
        finally:
            self._receiving = False
        if stream.closed or self._stream is not stream:
            return None
        size = recv(stream._fd, buffer, BUFFER_SIZE, 0)
        if size <= 0:
            failure = errno if size < 0 else 0
            if failure == EAGAIN or failure == EINTR:
                return None
            self._lose()
            if failure:
                raise self._closed() from Disconnected(os.strerror(failure))
            raise self._closed()
        self._heard = True
        message = None
        if self._state == OPEN:
            message = self._whole_message(buffer, size, &used)
        if message is None:
            decoder.feed(PyBytes_FromStringAndSize(<char *>buffer, size))
            return None
        if used < size:
            decoder.feed(PyBytes_FromStringAndSize(<char *>buffer + used, size - used))
            if decoder.has_message():
                self._may_hold()
        self._streak = 1 + <int>(len(message) >> FAIR_SHIFT)
        return message

    cdef bytes _whole_message(
        self, const unsigned char *octets, Py_ssize_t size, Py_ssize_t *used
    ):
        """Return the message that ``octets`` begin with; how many bytes were used.

        None if they begin with anything but a whole, valid, plain message in one
        frame. Sets ``opcode``.
        """
        cdef Py_ssize_t length, head = 6
        cdef bytes message
        cdef uint64_t seen
        if size < 6 or not TEXT_FRAME <= octets[0] <= BINARY_FRAME:
            return None
        length = octets[1] - MASKED
        if length == 126:
            if size < 8:
                return None
            length = octets[2] << 8 | octets[3]
            if length < 126:
                return None
            head = 8
        if not 0 <= length <= size - head or length == 127 and head == 6:
            return None
        if length > self._decoder._max_size:
            return None
        message = PyBytes_FromStringAndSize(NULL, length)
        seen = unmask_into(
            <unsigned char *>PyBytes_AS_STRING(message),
            octets + head,
            length,
            octets + head - 4,
        )
        if octets[0] == TEXT_FRAME:
            if seen & NOT_ASCII:
                try:
                    PyUnicode_DecodeUTF8(PyBytes_AS_STRING(message), length, "strict")
                except UnicodeDecodeError:
                    return None
            self.opcode = TEXT_FRAME & 15
        else:
            self.opcode = BINARY_FRAME & 15
        used[0] = head + length
        return message

    cpdef send(self, payload, opcode=TEXT_FRAME & 15):
        """Send a message; see ``WebSocket.send``."""
        cdef Outbox outbox = self._outbox
        cdef Stream stream
        cdef Py_ssize_t size, head, sent
        cdef int failure
        cdef unsigned char octets[SHORT + 4]
        cdef iovec pieces[2]
        cdef msghdr whole
        if (
            self._state != OPEN
            or outbox.busy
            or type(payload) is not bytes
            or type(self._stream) is not Stream
        ):
            return WebSocket.send(self, payload, opcode)
        stream = self._stream
        size = len(<bytes>payload)
        if (
            stream.closed
            or size >= BUFFER_SIZE
            or self._deflater is not None and size >= self._deflater.threshold
        ):
            return WebSocket.send(self, payload, opcode)
        if outbox.held is not None or self._hold_until:
            if size <= SHORT and now() < self._hold_until:
                return WebSocket.send(self, payload, opcode)
            outbox.release()
            if outbox.busy:
                return WebSocket.send(self, payload, opcode)
        octets[0] = 0x80 | <unsigned char>opcode
        if size < 126:
            octets[1] = <unsigned char>size
            head = 2
        else:
            octets[1] = 126
            octets[2] = <unsigned char>(size >> 8)
            octets[3] = <unsigned char>(size & 0xFF)
            head = 4
        if size <= SHORT:
            memcpy(octets + head, PyBytes_AS_STRING(payload), size)
            sent = send(stream._fd, octets, head + size, MSG_NOSIGNAL)
        else:
            pieces[0].iov_base = octets
            pieces[0].iov_len = head
            pieces[1].iov_base = PyBytes_AS_STRING(payload)
            pieces[1].iov_len = size
            memset(&whole, 0, sizeof(whole))
            whole.msg_iov = pieces
            whole.msg_iovlen = 2
            sent = sendmsg(stream._fd, &whole, MSG_NOSIGNAL)
        if sent == head + size:
            outbox.sent += sent
            return None
        if sent < 0:
            failure = errno
            if failure != EAGAIN and failure != EINTR:
                self._lose()
                raise self._closed() from Disconnected(os.strerror(failure))
            sent = 0
        try:
            outbox.write_rest(encode_frame(opcode, payload), sent)
        except Disconnected as error:
            if self._state == OPEN:
                self._lose()
            raise self._closed() from error

    cpdef bint push(self, bytes frame, bint compressed=False) except -1:
        """Send a frame made elsewhere; see ``WebSocket.push``."""
        cdef Outbox outbox = self._outbox
        cdef Stream stream
        cdef Py_ssize_t sent
        if (
            self._state == OPEN
            and not outbox.busy
            and outbox._backlog is None
            and outbox.held is None
            and self._deflater is None
            and type(self._stream) is Stream
        ):
            stream = self._stream
            if not stream.closed:
                sent = send(
                    stream._fd, PyBytes_AS_STRING(frame), len(frame), MSG_NOSIGNAL
                )
                if sent == len(frame):
                    outbox.sent += sent
                    return True
                if sent > 0:
                    # Less than what a backlog takes.
                    return outbox.push_rest(frame, sent)
        return WebSocket.push(self, frame, compressed)
