"""Greenlets that begin with a small piece of memory for the frames of Python.

From 3.11 on, CPython keeps frames in chunks of 16 KiB, of which a parked greenlet that
runs Python has at least one: a page of 4 KiB for frames of 1 KiB. Here the first chunk
has 2 KiB and comes from malloc; when a call does not fit into it, CPython adds one of
its own.

Chunks are freed, by CPython and by greenlet, with the arena allocator, so that one is
replaced by one that knows both kinds. It also keeps a few of CPython's: a function that
is called again and again at the end of a chunk would otherwise cost a system call each
time.

Everything here runs with the interpreter's lock.
"""

cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030F0000 \\
        && !defined(Py_GIL_DISABLED) && defined(__linux__)
    #define GEUWSGI_HAS_SMALL_STACKS 1
    /* With malloc's own eight bytes 27 cache lines. No arena has this size. The
       server's frames need 830 bytes, a short application's as much again. */
    #define GEUWSGI_SMALL 1720
    #define GEUWSGI_COMMON 16384
    #define GEUWSGI_KEPT 16

    static PyObjectArenaAllocator geuwsgi_plain;
    static void *geuwsgi_kept[GEUWSGI_KEPT];
    static int geuwsgi_count = 0;

    static void *geuwsgi_allocate(void *context, size_t size) {
        if (size == GEUWSGI_COMMON && geuwsgi_count) return geuwsgi_kept[--geuwsgi_count];
        return geuwsgi_plain.alloc(geuwsgi_plain.ctx, size);
    }

    static void geuwsgi_free(void *context, void *piece, size_t size) {
        if (size == GEUWSGI_SMALL) {
            PyMem_RawFree(piece);
        } else if (size == GEUWSGI_COMMON && geuwsgi_count < GEUWSGI_KEPT) {
            geuwsgi_kept[geuwsgi_count++] = piece;
        } else {
            geuwsgi_plain.free(geuwsgi_plain.ctx, piece, size);
        }
    }

    static void geuwsgi_prepare(void) {
        PyObject_GetArenaAllocator(&geuwsgi_plain);
        PyObjectArenaAllocator both = {NULL, geuwsgi_allocate, geuwsgi_free};
        PyObject_SetArenaAllocator(&both);
    }

    /* Calls `run` as the first thing of a greenlet. A call in the last place needs no
       frame of C, which the greenlet would keep a copy of. */
    static PyObject *geuwsgi_begin(PyObject *run, PyObject *const *arguments, Py_ssize_t count) {
        PyThreadState *state = PyThreadState_Get();
        if (state->datastack_chunk == NULL) {
            _PyStackChunk *chunk = PyMem_RawMalloc(GEUWSGI_SMALL);
            if (chunk != NULL) {
                chunk->previous = NULL;
                chunk->size = GEUWSGI_SMALL;
                chunk->top = 0;
                state->datastack_chunk = chunk;
                /* As CPython does: the first chunk is never popped. */
                state->datastack_top = &chunk->data[1];
                state->datastack_limit = (PyObject **)((char *)chunk + GEUWSGI_SMALL);
            }
        }
        return PyObject_Vectorcall(run, arguments, count, NULL);
    }

    static PyMethodDef geuwsgi_method = {
        "begin", (PyCFunction)(void (*)(void))geuwsgi_begin, METH_FASTCALL, NULL};

    static PyObject *geuwsgi_wrap(PyObject *run) {
        return PyCFunction_New(&geuwsgi_method, run);
    }
    #else
    #define GEUWSGI_HAS_SMALL_STACKS 0
    static void geuwsgi_prepare(void) {}
    static PyObject *geuwsgi_wrap(PyObject *run) { Py_INCREF(run); return run; }
    #endif
    """
    const bint HAS_SMALL_STACKS "GEUWSGI_HAS_SMALL_STACKS"
    void geuwsgi_prepare()
    object geuwsgi_wrap(object run)


cdef bint _is_prepared = False


def on_small_stack(run):
    """Return what calls `run` in a greenlet that has begun with it."""
    global _is_prepared
    if HAS_SMALL_STACKS and not _is_prepared:
        geuwsgi_prepare()
        _is_prepared = True
    return geuwsgi_wrap(run)
