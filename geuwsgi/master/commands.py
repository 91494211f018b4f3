"""Options that act on a running instance, or print something, and exit."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable

from geuwsgi.config import Configuration
from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.master.daemon import read_pidfile
from geuwsgi.net.address import AbstractAddress, TcpAddress, parse_address
from geuwsgi.protocol.uwsgi import SIGNAL


def find_command(configuration: Configuration) -> Callable[[], int] | None:
    """What to do instead of serving; None if the server shall serve."""
    commands = configuration.commands
    for path, number in (
        (commands.reload, signal.SIGHUP),
        (commands.stop, signal.SIGINT),
        (commands.pause or commands.suspend or commands.resume, signal.SIGTSTP),
    ):
        if path:
            return _signal_command(path, number)
    if commands.connect_and_read:
        where = commands.connect_and_read
        return lambda: _connect_and_read(where)
    if commands.signal:
        text = commands.signal
        return lambda: _send_signal(text)
    if commands.ping:
        address, timeout_s = commands.ping, commands.ping_timeout
        return lambda: _ping(address, timeout_s)
    if commands.nagios:
        return lambda: _nagios(configuration)
    return None


def _connect_and_read(address: str) -> int:
    """Print what comes from an address: statistics, stacks."""
    try:
        received = _ask(address, _SIGNAL_TIMEOUT_S, b"")
    except (OSError, ConfigError) as exc:
        raise StartupError(f"connect-and-read: {address}: {exc}") from exc
    sys.stdout.buffer.write(received)
    sys.stdout.buffer.flush()
    return 0


def _send_signal(text: str) -> int:
    """Raise a uwsgi signal in another server: ``address,number``."""
    address, _, number = text.rpartition(",")
    if not (address and number.isdecimal() and int(number) < 256):
        raise StartupError(f"signal needs address,number: {text!r}")
    packet = bytes((SIGNAL, 0, 0, int(number)))
    try:
        answer = _ask(address, _SIGNAL_TIMEOUT_S, packet)
    except (OSError, ConfigError) as exc:
        raise StartupError(f"signal: {address}: {exc}") from exc
    if answer[:4] != _ACCEPTED:
        raise StartupError(f"signal: {address} does not know signal {number}")
    return 0


_SIGNAL_TIMEOUT_S = 4.0
_ACCEPTED = bytes((255, 0, 0, 1))

# uwsgi packets of modifier 100 are pings; the answer's second modifier is 1.
_PING = b"\x64\x00\x00\x00"


def _ping(address: str, timeout_s: float) -> int:
    """Ask a uwsgi socket if it lives: 0 if it does, 1 if not."""
    try:
        answer = _ask(address, timeout_s)
    except (OSError, ConfigError):
        return 1
    return 0 if answer[:1] == _PING[:1] and answer[3:4] == b"\x01" else 1


def _nagios(configuration: Configuration) -> int:
    """Print what Nagios wants to read; 0 is OK, 1 a warning, 2 critical."""
    if not configuration.listeners:
        print("UWSGI UNKNOWN: you have specified an invalid socket")
        return 3
    address = configuration.listeners[0].address
    try:
        answer = _ask(address, configuration.commands.ping_timeout)
    except (OSError, ConfigError) as exc:
        print(f"UWSGI CRITICAL: could not connect() to {address}: {exc}")
        return 2
    if answer[:1] != _PING[:1]:
        print("UWSGI CRITICAL: timed out waiting for response")
        return 2
    if len(answer) > 4:
        print(f"UWSGI WARNING: {answer[4:].decode('utf-8', 'replace')}")
        return 1
    print("UWSGI OK: armed and ready")
    return 0


def _ask(address: str, timeout_s: float, request: bytes = _PING) -> bytes:
    parsed = parse_address(address)
    if isinstance(parsed, TcpAddress):
        connection = socket.create_connection(
            (parsed.host or "127.0.0.1", parsed.port), timeout_s
        )
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout_s)
        is_abstract = isinstance(parsed, AbstractAddress)
        try:
            connection.connect("\0" + parsed.name if is_abstract else address)  # type: ignore[union-attr]
        except OSError:
            connection.close()
            raise
    with connection:
        connection.sendall(request)
        answer = bytearray()
        while piece := connection.recv(4096):
            answer += piece
        return bytes(answer)


def _signal_command(path: str, number: signal.Signals) -> Callable[[], int]:
    def run() -> int:
        pid = read_pidfile(path)
        try:
            os.kill(pid, number)
        except OSError as exc:
            raise StartupError(
                f"cannot signal process {pid} of {path}: {(exc.strerror or '').lower()}"
            ) from exc
        return 0

    return run
