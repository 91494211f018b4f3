# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The fields of request heads read by C loops, for the usual case only.

``FieldReader`` either reads all fields of a head into the environ or touches nothing
and says no: then ``http1`` reads them, which knows every rule and every error. So
nothing is decided here; only the usual is recognised.

What is recognised was validated by ``http1`` before: the reader is taught names, and
lines that repeat from visitor to visitor (Accept, User-Agent, Host) are kept with
their key and value, so that all requests share the strings. Both tables have a fixed
size and each place holds one entry: whoever sends many different lines pushes out
others and gains nothing.

12 fields of a browser: 0.6 microseconds, in plain Python 4 (benchmarks: http-12-varied).
"""

from sys import intern

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_SetItem
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy


cdef enum:
    NAMES = 1024  # places for names; a power of two
    LINES = 4096  # places for whole lines; a power of two
    LONGEST_LINE = 256  # bytes of a line worth keeping
    MOST_FIELDS = 128

cdef enum:
    DROPPED = 1  # the field has no place in the environ
    STEADY = 2  # its lines repeat from visitor to visitor


cdef struct Entry:
    uint64_t hash
    PyObject *text  # bytes: the name, or the line
    PyObject *key
    Py_hash_t key_hash
    PyObject *value  # of a line
    int flags


cdef struct Field:
    PyObject *key
    Py_hash_t key_hash  # equal keys need not be one object: Cookie and cookie
    PyObject *value  # NULL: to be made of the bytes
    const char *start  # of the value's bytes
    Py_ssize_t size
    const char *line  # to be kept, if not NULL
    Py_ssize_t line_size
    uint64_t hash


cdef inline uint64_t _hash(const char *bytes_, Py_ssize_t size) noexcept nogil:
    cdef uint64_t h = <uint64_t>size * <uint64_t>0x9E3779B97F4A7C15
    cdef uint64_t word
    while size >= 8:
        memcpy(&word, bytes_, 8)
        h = (h ^ word) * <uint64_t>0xFF51AFD7ED558CCD
        h ^= h >> 32
        bytes_ += 8
        size -= 8
    if size:
        word = 0
        memcpy(&word, bytes_, size)
        h = (h ^ word) * <uint64_t>0xFF51AFD7ED558CCD
        h ^= h >> 32
    return h


cdef inline bint _has_controls(const char *bytes_, Py_ssize_t size) noexcept nogil:
    """Whether there is a byte that no field can hold. A tab counts as one: rare."""
    cdef uint64_t word, low, seven
    cdef uint64_t ones = <uint64_t>0x0101010101010101
    cdef uint64_t highs = <uint64_t>0x8080808080808080
    cdef uint8_t c
    while size >= 8:
        memcpy(&word, bytes_, 8)
        # A byte below 0x20, or one equal to 0x7f.
        low = (word - ones * 0x20) & ~word & highs
        seven = word ^ (ones * 0x7F)
        seven = (seven - ones) & ~seven & highs
        if low | seven:
            return True
        bytes_ += 8
        size -= 8
    while size:
        c = <uint8_t>bytes_[0]
        if c < 0x20 or c == 0x7F:
            return True
        bytes_ += 1
        size -= 1
    return False


cdef class _Table:
    """Entries by the bytes they stand for.

    An entry stands at its place or at one of the ``tries - 1`` behind it; where all
    are taken the newer pushes out the one at its place.
    """

    cdef Entry *places
    cdef Py_ssize_t size
    cdef int tries

    def __cinit__(self, Py_ssize_t size, int tries):
        self.size = size
        self.tries = tries
        self.places = <Entry *>PyMem_Calloc(size, sizeof(Entry))
        if self.places == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.places != NULL:
            for i in range(self.size):
                Py_XDECREF(self.places[i].text)
                Py_XDECREF(self.places[i].key)
                Py_XDECREF(self.places[i].value)
            PyMem_Free(self.places)

    cdef inline Entry *find(self, const char *text, Py_ssize_t size, uint64_t h) noexcept:
        cdef Entry *entry
        cdef int i
        for i in range(self.tries):
            entry = &self.places[(h + <uint64_t>i) & <uint64_t>(self.size - 1)]
            if (
                entry.hash == h
                and entry.text != NULL
                and PyBytes_GET_SIZE(<object>entry.text) == size
                and memcmp(PyBytes_AS_STRING(<object>entry.text), text, size) == 0
            ):
                return entry
        return NULL

    cdef int keep(
        self, bytes text, uint64_t h, object key, object value, int flags
    ) except -1:
        cdef Entry *entry = &self.places[h & <uint64_t>(self.size - 1)]
        cdef Entry *other
        cdef Entry old
        cdef int i
        for i in range(self.tries):
            other = &self.places[(h + <uint64_t>i) & <uint64_t>(self.size - 1)]
            if other.text == NULL:
                entry = other
                break
        old = entry[0]
        Py_INCREF(text)
        Py_INCREF(key)
        Py_INCREF(value)
        entry.hash = h
        entry.text = <PyObject *>text
        entry.key = <PyObject *>key
        entry.key_hash = hash(key)
        entry.value = <PyObject *>value
        entry.flags = flags
        Py_XDECREF(old.text)
        Py_XDECREF(old.key)
        Py_XDECREF(old.value)
        return 0


cdef class FieldReader:
    """Reads the field lines of request heads whose names it was taught."""

    cdef _Table _names
    cdef _Table _lines

    def __cinit__(self):
        self._names = _Table(NAMES, 8)
        self._lines = _Table(LINES, 2)

    def learn(self, bytes name, str key, bint steady):
        """Know ``name``, for a while at least; ``key`` is its WSGI key, "" drops it.

        ``steady`` says that its lines are the same for many visitors.
        """
        cdef int flags = (0 if key else DROPPED) | (STEADY if steady else 0)
        cdef const char *text = PyBytes_AS_STRING(name)
        cdef uint64_t h = _hash(text, PyBytes_GET_SIZE(name))
        if self._names.find(text, PyBytes_GET_SIZE(name), h) == NULL:
            self._names.keep(name, h, key, None, flags)

    def read_line(self, bytes line, Py_ssize_t size, dict environ):
        """Add what the first ``size`` bytes, a request line, say to ``environ``.

        False, with nothing touched, for all but the usual: a common method, a path
        without escapes and dot segments, and HTTP/1.1.
        """
        cdef const char *text = PyBytes_AS_STRING(line)
        cdef const char *target
        cdef const char *end
        cdef const char *at
        cdef const char *query = NULL
        cdef uint8_t c
        cdef object method = None
        cdef object uri
        if size > PyBytes_GET_SIZE(line) or size < 14:
            return False
        end = text + size - 9
        if memcmp(end, b" HTTP/1.1", 9) != 0:
            return False
        if memcmp(text, b"GET /", 5) == 0:
            method = "GET"
            target = text + 4
        elif memcmp(text, b"POST /", 6) == 0:
            method = "POST"
            target = text + 5
        elif memcmp(text, b"HEAD /", 6) == 0:
            method = "HEAD"
            target = text + 5
        else:
            return False
        at = target
        while at < end:
            c = <uint8_t>at[0]
            if c <= 0x20 or c >= 0x7F or c == 35:  # blank, control, beyond ASCII, "#"
                return False
            if query == NULL:
                if c == 63:  # "?"
                    query = at
                elif c == 37 or (c == 46 and (at - 1)[0] == 47):  # "%", "/."
                    return False
            at += 1
        uri = PyUnicode_DecodeLatin1(target, end - target, NULL)
        environ["REQUEST_METHOD"] = method
        environ["REQUEST_URI"] = uri
        environ["SERVER_PROTOCOL"] = "HTTP/1.1"
        if query == NULL:
            environ["QUERY_STRING"] = ""
            environ["PATH_INFO"] = uri
        else:
            environ["QUERY_STRING"] = PyUnicode_DecodeLatin1(query + 1, end - query - 1, NULL)
            environ["PATH_INFO"] = PyUnicode_DecodeLatin1(target, query - target, NULL)
        return True

    def read(self, bytes head, Py_ssize_t start, dict environ, Py_ssize_t most):
        """Add the fields of ``head`` from ``start`` on to ``environ``; 1 if done.

        ``start`` is where the first field line begins. Otherwise nothing is touched:
        -1 says that a name is not known (teach it), 0 that there are more than
        ``most`` fields, one is given twice, or anything at all is not plain.
        """
        cdef Field fields[MOST_FIELDS]
        cdef Py_ssize_t count = 0
        cdef Py_ssize_t i
        cdef const char *text = PyBytes_AS_STRING(head)
        cdef const char *end = text + PyBytes_GET_SIZE(head)
        cdef const char *at = text + start
        cdef const char *stop
        cdef const char *colon
        cdef const char *value_end
        cdef Entry *entry
        cdef Field *field
        cdef uint64_t h
        if most > MOST_FIELDS:
            most = MOST_FIELDS
        while at < end:
            stop = <const char *>memchr(at, 13, end - at)
            if stop == NULL:
                stop = end
            elif stop + 1 >= end or stop[1] != 10:
                return 0
            if count == most:
                return 0
            field = &fields[count]
            h = _hash(at, stop - at)
            entry = self._lines.find(at, stop - at, h)
            if entry != NULL:
                field.key = entry.key
                field.key_hash = entry.key_hash
                field.value = entry.value
                field.line = NULL
            else:
                if _has_controls(at, stop - at):
                    return 0
                colon = <const char *>memchr(at, 58, stop - at)
                if colon == NULL:
                    return 0
                entry = self._names.find(at, colon - at, _hash(at, colon - at))
                if entry == NULL:
                    return -1
                if entry.flags & DROPPED:
                    at = stop + 2
                    continue
                field.key = entry.key
                field.key_hash = entry.key_hash
                field.value = NULL
                field.line = at if entry.flags & STEADY else NULL
                field.line_size = stop - at
                field.hash = h
                colon += 1
                while colon < stop and colon[0] == 32:
                    colon += 1
                value_end = stop
                while value_end > colon and (value_end - 1)[0] == 32:
                    value_end -= 1
                field.start = colon
                field.size = value_end - colon
            for i in range(count):
                if fields[i].key_hash == field.key_hash:
                    return 0
            count += 1
            at = stop + 2
        for i in range(count):
            self._store(&fields[i], environ)
        # Only now: an entry pushed out may be one that a later field refers to.
        for i in range(count):
            if fields[i].line != NULL and fields[i].line_size <= LONGEST_LINE:
                self._keep(&fields[i], environ)
        return 1

    cdef int _store(self, Field *field, dict environ) except -1:
        cdef object value
        if field.value != NULL:
            value = <object>field.value
        else:
            value = PyUnicode_DecodeLatin1(field.start, field.size, NULL)
        PyDict_SetItem(environ, <object>field.key, value)
        return 0

    cdef int _keep(self, Field *field, dict environ) except -1:
        cdef object key = <object>field.key
        cdef bytes line = PyBytes_FromStringAndSize(field.line, field.line_size)
        self._lines.keep(line, field.hash, key, environ[key], 0)
        return 0


cdef enum:
    # Flags of a variable's name, besides STEADY.
    KEPT = 4  # the worker's own key, which no variable replaces
    SPECIAL = 8  # decides something
    SPECIAL_IF_GIVEN = 16  # decides something if it is not empty
    LONGEST_NAME = 128
    LONGEST_VALUE = 192


cdef class VarsReader:
    """Reads the variables of uwsgi packets into environs that begin with `start`.

    Keys of ``kept`` stay what they are. ``special`` are keys that decide something,
    ``special_if_given`` do where they are not empty. The values of ``steady`` keys repeat
    from visitor to visitor.
    """

    cdef _Table _names
    cdef _Table _pairs
    cdef dict _start
    cdef object _kept, _special, _special_if_given, _steady
    #: How many variables the last packet had, and whether one of them was special.
    cdef readonly Py_ssize_t count
    cdef readonly bint has_special

    def __cinit__(self, dict start, kept, special, special_if_given, steady):
        self._names = _Table(NAMES, 8)
        self._pairs = _Table(LINES, 2)
        self._start = start.copy()
        self._kept = frozenset(kept)
        self._special = frozenset(special)
        self._special_if_given = frozenset(special_if_given)
        self._steady = frozenset(steady)

    def read(self, bytes packet, Py_ssize_t start, Py_ssize_t end):
        """Return the environ of what stands between ``start`` and ``end``.

        None if lengths do not add up, or a key is empty or longer than is worth
        keeping.
        """
        cdef const uint8_t *octets = <const uint8_t *>PyBytes_AS_STRING(packet)
        cdef dict environ
        cdef Entry *entry
        cdef Entry *found
        cdef const char *name
        cdef const char *value
        cdef Py_ssize_t at = start, name_size, value_size, pair_size
        cdef uint64_t h
        cdef int flags
        cdef object text
        self.count = 0
        self.has_special = False
        if end > PyBytes_GET_SIZE(packet):
            return None
        environ = self._start.copy()
        while at < end:
            if at + 2 > end:
                return None
            name_size = octets[at] | octets[at + 1] << 8
            name = <const char *>octets + at + 2
            at += 2 + name_size
            if name_size == 0 or name_size > LONGEST_NAME or at + 2 > end:
                return None
            value_size = octets[at] | octets[at + 1] << 8
            value = <const char *>octets + at + 2
            at += 2 + value_size
            if at > end:
                return None
            self.count += 1
            entry = self._names.find(name, name_size, _hash(name, name_size))
            if entry == NULL:
                entry = self._learn(name, name_size)
            flags = entry.flags
            if flags & (KEPT | SPECIAL | SPECIAL_IF_GIVEN):
                if flags & KEPT:
                    continue
                if flags & SPECIAL or value_size:
                    self.has_special = True
            if value_size == 0:
                PyDict_SetItem(environ, <object>entry.key, "")
            elif flags & STEADY and value_size <= LONGEST_VALUE:
                pair_size = name_size + 2 + value_size
                h = _hash(name, pair_size)
                found = self._pairs.find(name, pair_size, h)
                if found != NULL:
                    PyDict_SetItem(environ, <object>found.key, <object>found.value)
                    continue
                text = PyUnicode_DecodeLatin1(value, value_size, NULL)
                PyDict_SetItem(environ, <object>entry.key, text)
                self._pairs.keep(
                    PyBytes_FromStringAndSize(name, pair_size),
                    h,
                    <object>entry.key,
                    text,
                    0,
                )
            else:
                PyDict_SetItem(
                    environ,
                    <object>entry.key,
                    PyUnicode_DecodeLatin1(value, value_size, NULL),
                )
        return environ

    cdef Entry *_learn(self, const char *name, Py_ssize_t size) except NULL:
        """Know a name from now on, for a while at least."""
        cdef str key = intern(PyUnicode_DecodeLatin1(name, size, NULL))
        cdef uint64_t h = _hash(name, size)
        cdef int flags = 0
        if key in self._kept:
            flags |= KEPT
        if key in self._special:
            flags |= SPECIAL
        if key in self._special_if_given:
            flags |= SPECIAL_IF_GIVEN
        if key in self._steady:
            flags |= STEADY
        self._names.keep(PyBytes_FromStringAndSize(name, size), h, key, None, flags)
        return self._names.find(name, size, h)
