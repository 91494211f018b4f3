"""Does what applications should not do, by path."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.monkey import get_original

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


def _leak() -> None:
    while True:
        _leaked.append(os.open("/dev/null", os.O_RDONLY))


def _stop_leaking() -> None:
    while _leaked:
        os.close(_leaked.pop())


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
    "/leak": _leak,
    "/stop-leaking": _stop_leaking,
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
    ACTIONS.get(path, ACTIONS["/"])()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
