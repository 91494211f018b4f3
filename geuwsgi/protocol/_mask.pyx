# cython: language_level=3, boundscheck=False, wraparound=False
"""Unmasking by machine words (RFC 6455 §5.3); see ``websocket_mask``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy


def unmask(bytes payload not None, bytes mask not None):
    """Return ``payload`` XOR the four bytes of ``mask``, repeated."""
    return unmask_part(payload, 0, len(payload), mask)


cpdef bytes unmask_part(
    bytes octets, Py_ssize_t start, Py_ssize_t end, bytes mask
):
    """Return ``octets[start:end]``, unmasked, without a copy of it in between."""
    cdef Py_ssize_t size
    cdef bytes result
    cdef const unsigned char *source
    cdef unsigned char *target
    cdef unsigned char key[8]
    cdef uint64_t wide
    cdef uint64_t words[4]
    cdef Py_ssize_t at = 0
    if octets is None or mask is None:
        raise TypeError("bytes are needed, not None")
    if len(mask) != 4:
        raise ValueError(f"a mask has 4 bytes, not {len(mask)}")
    if not 0 <= start <= end <= len(octets):
        raise ValueError(f"no bytes {start} to {end} in {len(octets)}")
    size = end - start
    if size == 0:
        return b""
    result = PyBytes_FromStringAndSize(NULL, size)
    source = <const unsigned char *>PyBytes_AS_STRING(octets) + start
    target = <unsigned char *>PyBytes_AS_STRING(result)
    memcpy(key, PyBytes_AS_STRING(mask), 4)
    memcpy(key + 4, key, 4)
    memcpy(&wide, key, 8)
    # Four words at a time: compilers make vectors of that.
    while at + 32 <= size:
        memcpy(words, source + at, 32)
        words[0] ^= wide
        words[1] ^= wide
        words[2] ^= wide
        words[3] ^= wide
        memcpy(target + at, words, 32)
        at += 32
    while at + 8 <= size:
        memcpy(words, source + at, 8)
        words[0] ^= wide
        memcpy(target + at, words, 8)
        at += 8
    while at < size:
        target[at] = source[at] ^ key[at & 3]
        at += 1
    return result
