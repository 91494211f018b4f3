"""Reload when something happens in a file or directory (fs-reload), by inotify.

Also descriptors that become readable (reload-on-fd): both are descriptors in the loop.
What happens within one turn of the loop is one reload: a deploy writes many files.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable

from geuwsgi.errors import StartupError
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.events import Request
from geuwsgi.master.touch import parse_signal_number, raising
from geuwsgi.options import Settings

# inotify(7)
IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_IGNORED = 0x8000
_MASK = (
    IN_MODIFY
    | IN_ATTRIB
    | IN_MOVED_FROM
    | IN_MOVED_TO
    | IN_CREATE
    | IN_DELETE
    | IN_DELETE_SELF
    | IN_MOVE_SELF
)
_EVENT_HEAD = 16


class Inotify:
    """One inotify descriptor, for the events of ``mask``.

    Raises OSError where the system has none.
    """

    def __init__(self, mask: int = _MASK) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError("this system has no inotify")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fileno = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fileno < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._mask = mask
        self._paths: dict[int, str] = {}
        self._lost: list[str] = []

    def add(self, path: str) -> None:
        """Watch ``path``. Raises OSError."""
        number = self._libc.inotify_add_watch(
            self.fileno, os.fsencode(path), self._mask
        )
        if number < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        self._paths[number] = path

    def read(self) -> list[str]:
        """The watched paths where something happened, each once.

        A path that was replaced is watched again under its name; for one that is gone
        ask ``find_again``.
        """
        happened: dict[str, None] = {}
        gone: list[str] = []
        while True:
            try:
                events = os.read(self.fileno, 65536)
            except BlockingIOError:
                break
            start = 0
            while start < len(events):
                number = int.from_bytes(events[start : start + 4], sys.byteorder)
                mask = int.from_bytes(events[start + 4 : start + 8], sys.byteorder)
                length = int.from_bytes(events[start + 12 : start + 16], sys.byteorder)
                start += _EVENT_HEAD + length
                path = self._paths.get(number)
                if path is None:
                    continue
                if mask & IN_MOVE_SELF:
                    # The file is elsewhere now; its name may come to another one.
                    self._libc.inotify_rm_watch(self.fileno, number)
                if mask & IN_IGNORED:
                    del self._paths[number]
                    gone.append(path)
                happened[path] = None
        self._lost += [path for path in gone if path not in self._lost]
        self.find_again()
        return list(happened)

    def find_again(self) -> list[str]:
        """Watch what was gone and is there again; return it."""
        found = []
        for path in list(self._lost):
            try:
                self.add(path)
            except OSError:
                continue  # not yet
            self._lost.remove(path)
            found.append(path)
        return found

    def close(self) -> None:
        os.close(self.fileno)


class InotifyDuty(Duty):
    """A duty with an inotify descriptor, from ``open`` until its end."""

    def __init__(self) -> None:
        self._inotify: Inotify | None = None
        self._desk: Desk | None = None

    def open(self, desk: Desk, mask: int = _MASK) -> None:
        """Have ``happened`` called in the loop. Raises OSError as ``Inotify``."""
        self._desk = desk
        self._inotify = Inotify(mask)
        desk.watch(self._inotify.fileno, self._readable)

    def happened(self, paths: list[str]) -> None:
        """Something happened in these of the watched paths."""

    def end(self) -> None:
        if self._inotify is not None:
            assert self._desk is not None
            self._desk.unwatch(self._inotify.fileno)
            self._inotify.close()
            self._inotify = None

    def _readable(self) -> None:
        assert self._inotify is not None
        self.happened(self._inotify.read())


class FsDuty(InotifyDuty):
    """Watches paths; ``actions`` says what each one asks for."""

    def __init__(
        self, actions: dict[str, Callable[[Desk, str], None]], key: object
    ) -> None:
        super().__init__()
        self.key = key
        self._actions = actions
        self._pending: dict[str, None] = {}

    def begin(self, desk: Desk) -> None:
        self.open(desk)
        assert self._inotify is not None
        for path in self._actions:
            try:
                self._inotify.add(path)
            except OSError as exc:
                self.end()
                raise StartupError(f"cannot watch {path}: {exc.strerror}") from exc

    def tick(self, now: float) -> None:
        assert self._desk is not None
        if self._inotify is not None:
            self._pending.update(dict.fromkeys(self._inotify.find_again()))
        pending, self._pending = self._pending, {}
        for path in pending:
            self._actions[path](self._desk, path)

    def happened(self, paths: list[str]) -> None:
        self._pending.update(dict.fromkeys(paths))


class FdDuty(Duty):
    """Reloads when a descriptor has something to read (eventfd, a pipe)."""

    def __init__(self, texts: Iterable[str], request: Request) -> None:
        self._entries = [_parse_fd(text) for text in texts]
        self.key = ("reload-on-fd", request, tuple(self._entries))
        self._request = request
        self._desk: Desk | None = None

    def begin(self, desk: Desk) -> None:
        self._desk = desk
        for fileno, size, message in self._entries:
            desk.watch(
                fileno,
                lambda fileno=fileno, size=size, message=message: self._ready(  # type: ignore[misc]
                    fileno, size, message
                ),
            )

    def end(self) -> None:
        assert self._desk is not None
        for fileno, _, _ in self._entries:
            self._desk.unwatch(fileno)

    def _ready(self, fileno: int, size: int, message: str) -> None:
        assert self._desk is not None
        os.read(fileno, size)
        self._desk.ask(self._request, message or f"descriptor {fileno} is readable")


def _parse_fd(text: str) -> tuple[int, int, str]:
    """``fd[:bytes[,message]]``; the default is what an eventfd needs."""
    head, _, message = text.partition(",")
    fd_text, _, size_text = head.partition(":")
    if not fd_text.isdigit() or (size_text and not size_text.isdigit()):
        raise StartupError(f"reload-on-fd: {text!r} is not fd[:bytes[,message]]")
    return int(fd_text), int(size_text or 8), message


def _asking(request: Request) -> Callable[[Desk, str], None]:
    return lambda desk, path: desk.ask(request, f"{path} has changed")


def fs_duties(settings: Settings) -> list[Duty]:
    """What fs-reload, fs-brutal-reload, reload-on-fd and brutal-reload-on-fd ask for."""
    options = settings.reload
    actions = {path: _asking(Request.RELOAD) for path in options.fs_reload}
    actions |= {
        path: _asking(Request.BRUTAL_RELOAD) for path in options.fs_brutal_reload
    }
    for text in options.fs_signal:
        path, _, number = text.partition(" ")
        actions[path] = raising(parse_signal_number(number))
    duties: list[Duty] = []
    if actions:
        key = (
            "fs-reload",
            options.fs_reload,
            options.fs_brutal_reload,
            options.fs_signal,
        )
        duties.append(FsDuty(actions, key))
    if options.reload_on_fd:
        duties.append(FdDuty(options.reload_on_fd, Request.RELOAD))
    if options.brutal_reload_on_fd:
        duties.append(FdDuty(options.brutal_reload_on_fd, Request.BRUTAL_RELOAD))
    return duties
