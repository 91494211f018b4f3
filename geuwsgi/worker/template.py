"""The template: it holds the application and forks whoever shall run it.

It serves nothing and runs no hub: greenlets that the application's import started stay
where they are, here and in every process forked from here. Its whole life is to load,
to tell the master, and to obey ``FORK``. When the master goes, it goes.

Without a master the same steps end in the one worker's life instead.
"""

from __future__ import annotations

import contextlib
import gc
import os
import posix
import signal
import socket
import sys
import traceback
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from gevent import monkey

from geuwsgi.errors import GeuwsgiError, StartupError
from geuwsgi.log.forgiving import forgive
from geuwsgi.log.stderr import log
from geuwsgi.worker.boot import NO_FD, Boot
from geuwsgi.worker.fork import die_with_parent, fork_grandchild
from geuwsgi.worker.instance import Instance
from geuwsgi.worker.life import Life, Order
from geuwsgi.worker.messages import Decoder, Kind, Message, encode
from geuwsgi.worker.shell import run_shell

if TYPE_CHECKING:
    from collections.abc import Iterator

_IGNORED = (
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_RECEIVE = 65536
_MAX_FDS = 8
_PLAIN_SOCKET: type[socket.socket] = monkey.get_original("socket", "socket")


def run(boot_fd: int) -> NoReturn:
    """Live as the record behind ``boot_fd`` says, then exit the process."""
    status = 1
    try:
        status = _live(Boot.read(boot_fd))
    except GeuwsgiError as exc:
        print(f"{exc}", file=sys.stderr, flush=True)
        if isinstance(exc, StartupError):
            status = exc.exit_status
    except BaseException:
        traceback.print_exc()
    finally:
        # Whatever the application has put in the place of these streams: the
        # interpreter must not go on to wait for its threads.
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def _live(boot: Boot) -> int:
    forgive()
    instance = Instance(boot)
    return _be_lone(instance) if boot.control_fd == NO_FD else _be_template(instance)


def _be_lone(instance: Instance) -> int:
    instance.load()
    if instance.boot.shell is not None:
        instance.check_need_app()
        run_shell(instance.boot.shell)
        return 0
    return Life(instance, Order(serial=0, slot=0, role="worker", number=1), None).run()


def _be_template(instance: Instance) -> int:
    boot = instance.boot
    # It holds nothing that needs a farewell; an import that hangs must not outlive
    # the master.
    die_with_parent(signal.SIGKILL)
    if os.getppid() != boot.master_pid:
        return 0
    # What a terminal sends to the whole group is the master's to decide about.
    # And what is sent to a process that was just forked must not end it.
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    instance.entitle("template")
    connection = _PLAIN_SOCKET(fileno=boot.control_fd)
    connection.set_inheritable(False)
    if instance.loads_early:
        instance.load()
    elif instance.shares_imports:
        instance.import_shared(lambda line: print(line, file=sys.stderr, flush=True))
    # A process that changes its user is not ended with its parent any more.
    die_with_parent(signal.SIGKILL)
    if instance.sources is not None:
        connection.sendall(encode(Kind.SOURCES, files=instance.sources.news()))
    connection.sendall(
        encode(Kind.LOADED, apps=instance.app_count, error=instance.load_error)
    )
    gc.collect()
    gc.freeze()
    forked = _serve_forks(connection)
    if forked is None:
        return 0
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    connection.close()
    return Life(instance, forked.order, _PLAIN_SOCKET(fileno=forked.channel_fd)).run()


@dataclass(slots=True)
class _Forked:
    order: Order
    channel_fd: int


def _serve_forks(connection: socket.socket) -> _Forked | None:
    """Fork as told; returns in each forked process, and None at the end of the master.

    Returning first leaves the template's frames behind before the new process begins.
    """
    for message, channel_fd in _orders(connection):
        order = Order.parse(message)
        try:
            is_new = fork_grandchild()
        except OSError as exc:
            # Processes or memory are used up, for now. The end of the channel tells
            # the master, which tries again.
            log(f"cannot fork {order}: {exc.strerror or exc}")
            is_new = False
        if is_new:
            return _Forked(order, channel_fd)
        # Not os.close: gevent's closes in the next turn of a loop, if an import has
        # made one, and no loop runs here.
        posix.close(channel_fd)
    return None


def _orders(connection: socket.socket) -> Iterator[tuple[Message, int]]:
    decoder = Decoder()
    descriptors: deque[int] = deque()
    while True:
        # The kernel never joins frames behind one that carries descriptors, so they
        # come in the order of the frames.
        received, fds, _, _ = socket.recv_fds(connection, _RECEIVE, _MAX_FDS)
        if not received:
            return
        descriptors.extend(fds)
        for message in decoder.feed(received):
            if message.kind is Kind.FORK:
                yield message, descriptors.popleft()
