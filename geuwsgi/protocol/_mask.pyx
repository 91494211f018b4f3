# cython: language_level=3, boundscheck=False, wraparound=False
"""Unmasking by machine words (RFC 6455 §5.3); see ``websocket_mask``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy


def unmask(bytes payload not None, bytes mask not None):
    """Return ``payload`` XOR the four bytes of ``mask``, repeated."""
    cdef Py_ssize_t size = len(payload)
    cdef bytes result
    cdef const unsigned char *source = <const unsigned char *>PyBytes_AS_STRING(payload)
    cdef unsigned char *target
    cdef unsigned char key[8]
    cdef uint64_t wide, word
    cdef Py_ssize_t at = 0
    if len(mask) != 4:
        raise ValueError(f"a mask has 4 bytes, not {len(mask)}")
    if size == 0:
        return payload
    result = PyBytes_FromStringAndSize(NULL, size)
    target = <unsigned char *>PyBytes_AS_STRING(result)
    memcpy(key, PyBytes_AS_STRING(mask), 4)
    memcpy(key + 4, key, 4)
    memcpy(&wide, key, 8)
    while at + 8 <= size:
        memcpy(&word, source + at, 8)
        word ^= wide
        memcpy(target + at, &word, 8)
        at += 8
    while at < size:
        target[at] = source[at] ^ key[at & 3]
        at += 1
    return result
