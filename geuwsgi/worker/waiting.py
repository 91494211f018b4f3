"""Waiting for the world before the start: files, directories, interfaces, sockets.

Everything here blocks, looks a few times a second, and raises StartupError when its
time is over.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.net.address import AbstractAddress, TcpAddress, UnixAddress, parse_address

if TYPE_CHECKING:
    from geuwsgi.options import Hooks

DEFAULT_LIMIT_S: Final = 60.0
_LOOK_S: Final = 0.1

Log = Callable[[str], None]


def wait_for_path(path: str, log: Log, limit_s: float = DEFAULT_LIMIT_S) -> None:
    """Wait until ``path`` exists, whatever it is."""
    _wait(lambda: os.path.exists(path), path, log, limit_s)


def wait_for_file(path: str, log: Log, limit_s: float = DEFAULT_LIMIT_S) -> None:
    """Wait until ``path`` is a regular file."""
    _wait(lambda: os.path.isfile(path), f"the file {path}", log, limit_s)


def wait_for_directory(path: str, log: Log, limit_s: float = DEFAULT_LIMIT_S) -> None:
    """Wait until ``path`` is a directory."""
    _wait(lambda: os.path.isdir(path), f"the directory {path}", log, limit_s)


def wait_for_socket(text: str, log: Log, limit_s: float = DEFAULT_LIMIT_S) -> None:
    """Wait until something accepts connections at an address."""
    try:
        address = parse_address(text)
    except ConfigError as exc:
        raise StartupError(f"wait-for-socket: {exc}") from exc
    if isinstance(address, TcpAddress):
        host = address.host or "127.0.0.1"
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        where: str | tuple[str, int] = (host, address.port)
    elif isinstance(address, UnixAddress):
        family, where = socket.AF_UNIX, address.path
    elif isinstance(address, AbstractAddress):
        family, where = socket.AF_UNIX, f"\0{address.name}"
    else:
        raise StartupError(f"wait-for-socket: {text!r} is no address to connect to")

    def accepts() -> bool:
        with socket.socket(family) as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(where) == 0

    _wait(accepts, f"the socket {text}", log, limit_s)


def wait_for_all(hooks: Hooks, log: Log) -> None:
    """Wait for what the options wait-for-* name."""
    for path in hooks.wait_for_fs:
        wait_for_path(path, log, hooks.wait_for_fs_timeout)
    for path in hooks.wait_for_mountpoint:
        limit_s = hooks.wait_for_fs_timeout
        is_mounted = partial(os.path.ismount, path)
        _wait(is_mounted, f"the mount point {path}", log, limit_s)
    for name in hooks.wait_for_interface:
        limit_s = hooks.wait_for_interface_timeout
        _wait(partial(_has_interface, name), f"the interface {name}", log, limit_s)
    for address in hooks.wait_for_socket:
        wait_for_socket(address, log, hooks.wait_for_socket_timeout)


def _has_interface(name: str) -> bool:
    return name in {known for _, known in socket.if_nameindex()}


def _wait(is_there: Callable[[], bool], what: str, log: Log, limit_s: float) -> None:
    if is_there():
        return
    log(f"waiting for {what} (at most {limit_s:g} seconds)...")
    give_up_at = time.monotonic() + limit_s
    while not is_there():
        if time.monotonic() >= give_up_at:
            raise StartupError(f"{what} did not come in {limit_s:g} seconds")
        time.sleep(_LOOK_S)
