# cython: language_level=3, boundscheck=False, wraparound=False
"""Unmasking by machine words (RFC 6455 §5.3); see ``websocket_mask``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize


def unmask(bytes payload not None, bytes mask not None):
    """Return ``payload`` XOR the four bytes of ``mask``, repeated."""
    return unmask_part(payload, 0, len(payload), mask)


cpdef bytes unmask_part(
    bytes octets, Py_ssize_t start, Py_ssize_t end, bytes mask
):
    """Return ``octets[start:end]``, unmasked, without a copy of it in between."""
    cdef bytes result
    if octets is None or mask is None:
        raise TypeError("bytes are needed, not None")
    if len(mask) != 4:
        raise ValueError(f"a mask has 4 bytes, not {len(mask)}")
    if not 0 <= start <= end <= len(octets):
        raise ValueError(f"no bytes {start} to {end} in {len(octets)}")
    if start == end:
        return b""
    result = PyBytes_FromStringAndSize(NULL, end - start)
    unmask_into(
        <unsigned char *>PyBytes_AS_STRING(result),
        <const unsigned char *>PyBytes_AS_STRING(octets) + start,
        end - start,
        <const unsigned char *>PyBytes_AS_STRING(mask),
    )
    return result
