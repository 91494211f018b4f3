"""Does what applications should not do, by path."""

from __future__ import annotations

import contextlib
import gc
import locale
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.monkey import get_original

# As an import does that resolves a name.
gevent.get_hub()

_leaked: list[int] = []


def _recurse() -> None:
    _recurse()


def _close_stdout() -> None:
    sys.stdout.close()
    os.close(1)
    os.close(0)


def _close_stderr() -> None:
    sys.stderr.close()


def _change_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


def _close_everything() -> None:
    os.closerange(0, 1000)


def _drop_streams() -> None:
    sys.stdout = sys.stderr = None


def _change_limits() -> None:
    sys.setrecursionlimit(100)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _patch_back() -> None:
    for module, name in ((os, "fork"), (socket, "socket"), (threading, "get_ident")):
        setattr(module, name, get_original(module.__name__, name))


def _block_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def _start_threads() -> None:
    def wait_for_ever() -> None:
        while True:
            get_original("time", "sleep")(1000)

    get_original("_thread", "start_new_thread")(wait_for_ever, ())
    threading.Thread(target=gevent.sleep, args=(1000,)).start()


def _trace(*_: object) -> None:
    raise RuntimeError("traced")


def _raise_elsewhere(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    def action() -> None:
        gevent.spawn(fail)
        gevent.sleep(0.05)

    return action


def _raise_in_a_handler() -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("alarmed")

    signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    gevent.sleep(0.1)


def _leak() -> None:
    while True:
        _leaked.append(os.open("/dev/null", os.O_RDONLY))


def _fork() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def _fork_and_stay() -> None:
    # The child goes on as if it were the worker.
    os.fork()


def _fill_memory() -> None:
    held = []
    while True:
        held.append(bytearray(64 << 20))


def _resolve() -> None:
    # The resolver of gevent, in its threads: others go on.
    with contextlib.suppress(OSError):
        socket.getaddrinfo("name.that.nobody.answers.test", 80)


def _spool() -> None:
    import uwsgi

    uwsgi.spool({b"body": b"x" * 50_000})


def _fill_cache() -> None:
    import uwsgi

    for number in range(50):
        uwsgi.cache_update(f"key {number}", b"x" * 60_000)


def _raise(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


ACTIONS: dict[str, Callable[[], object]] = {
    "/": lambda: None,
    "/exit": lambda: os._exit(3),
    "/system-exit": lambda: sys.exit(4),
    "/keyboard-interrupt": _raise(KeyboardInterrupt()),
    "/greenlet-exit": _raise(gevent.GreenletExit()),
    "/base-exception": _raise(BaseException("base")),
    "/generator-exit": _raise(GeneratorExit()),
    "/timeout": _raise(gevent.Timeout(1)),
    "/recurse": _recurse,
    "/close-stdout": _close_stdout,
    "/close-stderr": _close_stderr,
    "/change-signals": _change_signals,
    "/change-directory": lambda: os.chdir("/"),
    "/close-everything": _close_everything,
    "/drop-streams": _drop_streams,
    "/change-umask": lambda: os.umask(0o777),
    "/change-user": lambda: os.setuid(os.getuid() or 65534),
    "/change-locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "/change-limits": _change_limits,
    "/clear-environment": os.environ.clear,
    "/patch-back": _patch_back,
    "/block-signals": _block_signals,
    "/start-threads": _start_threads,
    "/trace": lambda: sys.settrace(_trace),
    "/disable-gc": gc.disable,
    "/exit-elsewhere": _raise_elsewhere(SystemExit(6)),
    "/interrupt-elsewhere": _raise_elsewhere(KeyboardInterrupt()),
    "/raise-elsewhere": _raise_elsewhere(SystemError("of a library")),
    "/raise-in-a-handler": _raise_in_a_handler,
    "/execute": lambda: os.execv("/bin/false", ["false"]),
    "/leak": _leak,
    "/memory": _fill_memory,
    "/resolve": _resolve,
    "/spool": _spool,
    "/cache": _fill_cache,
    "/fork": _fork,
    "/fork-and-stay": _fork_and_stay,
    "/kill-self": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "/block": lambda: get_original("time", "sleep")(1.0),
}


def _late(error: BaseException) -> Iterator[bytes]:
    yield b"beginning"
    raise error


def application(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    body = str(os.getpid()).encode() if path == "/pid" else b"done"
    if path.startswith("/late"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return _late(SystemExit(5) if path == "/late-exit" else ValueError("late"))
    if path == "/sleep":
        gevent.sleep(float(environ["QUERY_STRING"]))
    ACTIONS.get(path, ACTIONS["/"])()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
