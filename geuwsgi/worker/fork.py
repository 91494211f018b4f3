"""Fork a process that is not a child of the one that forks it.

The template forks twice and the process between ends at once, so that the kernel gives
the new process to the nearest *child subreaper* above: the master. It sees then what
a child of the master sees (``os.getppid()`` is the master), the master reaps it, and it
outlives the template.

CPython's fork hooks (``os.register_at_fork``: agents, ``threading``, gevent) must run
once, in the template and in the new process, as in a single fork. Two calls of
``os.fork`` would run them in the process between, where agents would start
their threads for nothing. So the hooks are called here, around two bare ``fork``\\ s,
with the functions CPython offers for that.
"""

from __future__ import annotations

import ctypes
import os
import posix
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
#: SIGSTKFLT of Linux, which nobody sends, and which is this many seconds here.
ORPHANS_SIGNAL = 16


def fork_grandchild() -> bool:
    """Fork; True in the new process, False in the caller.

    Raises :exc:`OSError` in the caller if the system refuses one of the forks. The
    caller must be the main thread.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    python = ctypes.PyDLL(None, use_errno=True)
    fork, leave = python.fork, python._exit
    before, after_child = python.PyOS_BeforeFork, python.PyOS_AfterFork_Child
    after_parent = python.PyOS_AfterFork_Parent
    # From here to the after-calls the interpreter is half way through a fork: nothing
    # but these calls and comparisons may run.
    before()
    between = fork()
    if between == 0:
        pid = fork()
        if pid == 0:
            after_child()
            return True
        leave(1 if pid < 0 else 0)
    number = ctypes.get_errno()
    after_parent()
    if between < 0:
        raise OSError(number, os.strerror(number))
    _, status = posix.waitpid(between, 0)
    if status:
        raise OSError(f"the second fork failed (status {status})")
    return False


def become_subreaper() -> bool:
    """Make this process the parent of its orphaned descendants; False: impossible."""
    return _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signal_number: int) -> bool:
    """Have the kernel send ``signal_number`` when the parent ends; False: impossible.

    A parent that has ended already is not noticed; compare ``os.getppid()`` after.
    """
    return _prctl(PR_SET_PDEATHSIG, signal_number)


def end_some_time_after(parent: int) -> bool:
    """Have the kernel end this process 16 seconds after ``parent``; False: impossible.

    It must be the parent already: not the process between it and this one.

    For what notices nothing any more: a loop without end, a library that waits for
    ever. No Python runs for that: the handler of the signal is ``alarm`` of the C
    library itself, which takes the signal's number for its seconds. An application
    with a handler of its own for SIGALRM is left alone with it.

    Ends with a change of user: call it again after one.
    """
    if os.getppid() != parent:
        return False
    # Other architectures have other numbers; Python 3.10 has no name for it.
    names = {number.value: number.name for number in signal.Signals}
    if names.get(ORPHANS_SIGNAL, "SIGSTKFLT") != "SIGSTKFLT":
        return False
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    libc.signal.restype = ctypes.c_void_p
    libc.signal(ORPHANS_SIGNAL, ctypes.cast(libc.alarm, ctypes.c_void_p))
    return die_with_parent(ORPHANS_SIGNAL)


def _prctl(option: int, argument: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(option, argument, 0, 0, 0) == 0)
