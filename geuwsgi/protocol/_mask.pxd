# The loop of _mask.pyx, for others that are compiled.

from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef inline uint64_t unmask_into(
    unsigned char *target,
    const unsigned char *source,
    Py_ssize_t size,
    const unsigned char *mask,
) noexcept nogil:
    """Write ``size`` bytes XOR the mask's four, repeated; return all of them, ORed.

    Of the result a bit of 0x80 in any byte says that the bytes are not ASCII.
    """
    cdef unsigned char key[8]
    cdef uint64_t wide
    cdef uint64_t words[4]
    cdef uint64_t seen[4]
    cdef Py_ssize_t at = 0
    memcpy(key, mask, 4)
    memcpy(key + 4, mask, 4)
    memcpy(&wide, key, 8)
    seen[0] = seen[1] = seen[2] = seen[3] = 0
    # Four words at a time: compilers make vectors of that.
    while at + 32 <= size:
        memcpy(words, source + at, 32)
        words[0] ^= wide
        words[1] ^= wide
        words[2] ^= wide
        words[3] ^= wide
        seen[0] |= words[0]
        seen[1] |= words[1]
        seen[2] |= words[2]
        seen[3] |= words[3]
        memcpy(target + at, words, 32)
        at += 32
    while at + 8 <= size:
        memcpy(words, source + at, 8)
        words[0] ^= wide
        seen[0] |= words[0]
        memcpy(target + at, words, 8)
        at += 8
    while at < size:
        target[at] = source[at] ^ key[at & 3]
        seen[1] |= target[at]
        at += 1
    return seen[0] | seen[1] | seen[2] | seen[3]
