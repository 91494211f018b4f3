"""Loggers: ``[id ]plugin[:arguments]`` and which lines each of them gets.

A logger without an id gets every line. One with an id gets those whose text a
``log-route = id regexp`` matches, and nothing else, as in uWSGI.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from geuwsgi.errors import ConfigError
from geuwsgi.log.encoders import Encode, Encoder, chain
from geuwsgi.log.files import FileSink
from geuwsgi.log.redis import RedisSink
from geuwsgi.log.sinks import (
    DatagramSink,
    FdSink,
    Sink,
    rsyslog_datagrams,
    syslog_datagram,
)

SYSLOG_SOCKET = "/dev/log"
DEFAULT_IDENT = "uwsgi"
# syslog(3): facilities are multiples of 8, to which the severity is added.
_FACILITIES: Mapping[str, int] = {
    "kern": 0,
    "user": 1,
    "mail": 2,
    "daemon": 3,
    "auth": 4,
    "syslog": 5,
    "lpr": 6,
    "news": 7,
    "uucp": 8,
    "cron": 9,
    "authpriv": 10,
    "ftp": 11,
    **{f"local{number}": 16 + number for number in range(8)},
}
_INFO = 6
# uWSGI's rsyslog sends daemon.notice unless told otherwise.
_RSYSLOG_PRIORITY = 29


@dataclass(frozen=True, slots=True)
class LoggerOptions:
    """What is common to the loggers of an instance.

    ``stdout`` is the descriptor that ``stdio`` means.
    """

    stdout: int = 1
    mode: int | None = None
    owner: tuple[int, int] | None = None
    rsyslog_packet_size: int = 1024
    rsyslog_split: bool = False
    syslog_socket: str = SYSLOG_SOCKET


def open_logger(text: str, options: LoggerOptions) -> tuple[str, Sink]:
    """Open what ``[id ]plugin[:arguments]`` names; return the id, which may be empty.

    Raises ConfigError if it cannot be meant, StartupError if it cannot be opened.
    """
    logger_id, _, rest = text.strip().rpartition(" ")
    head, colon, arguments = text.strip().partition(":")
    # Only the part before the colon may hold the blank after an id.
    if colon:
        logger_id, _, name = head.rpartition(" ")
    else:
        name = rest
    opener = _PLUGINS.get(name)
    if opener is None:
        known = ", ".join(sorted(_PLUGINS))
        raise ConfigError(f"unable to find logger {name} (known: {known})")
    return logger_id.strip(), opener(arguments, options)


def _stdio(arguments: str, options: LoggerOptions) -> Sink:
    return FdSink(options.stdout)


def _fd(arguments: str, options: LoggerOptions) -> Sink:
    if not (arguments.isascii() and arguments.isdigit()):
        raise ConfigError(f"the logger fd needs a number, not {arguments!r}")
    return FdSink(int(arguments))


def _file(arguments: str, options: LoggerOptions) -> Sink:
    path, max_bytes, backup_name = arguments, 0, ""
    if "=" in arguments.split("/", 1)[0]:
        pairs = dict(item.partition("=")[::2] for item in arguments.split(",") if item)
        path = pairs.get("logfile", "")
        backup_name = pairs.get("backup_name", "")
        size = pairs.get("maxsize", "0")
        if not (size.isascii() and size.isdigit()):
            raise ConfigError(f"the logger file has a malformed maxsize {size!r}")
        max_bytes = int(size)
    if not path:
        raise ConfigError("the logger file needs a path (file:/var/log/app.log)")
    return FileSink(
        path,
        max_bytes=max_bytes,
        backup_name=backup_name,
        mode=options.mode,
        owner=options.owner,
    )


def _socket(arguments: str, options: LoggerOptions) -> Sink:
    # uWSGI takes a second part, a fallback address; one is enough.
    address = arguments.partition(",")[0]
    if not address:
        raise ConfigError("the logger socket needs an address (socket:host:port)")
    return DatagramSink(address)


def _syslog(arguments: str, options: LoggerOptions) -> Sink:
    ident, _, facility = arguments.partition(",")
    number = _FACILITIES.get(facility.strip().lower() or "daemon")
    if number is None:
        raise ConfigError(f"unknown syslog facility {facility!r}")
    wrap = syslog_datagram(ident or DEFAULT_IDENT, number * 8 + _INFO, pid=os.getpid())
    return DatagramSink(options.syslog_socket, wrap)


def _rsyslog(arguments: str, options: LoggerOptions) -> Sink:
    address, *rest = arguments.split(",")
    if not address:
        raise ConfigError("the logger rsyslog needs an address (rsyslog:host:port)")
    if ":" not in address:
        address += ":514"
    ident = rest[0] if rest and rest[0] else DEFAULT_IDENT
    priority = rest[1] if len(rest) > 1 else str(_RSYSLOG_PRIORITY)
    if not (priority.isascii() and priority.isdigit()):
        raise ConfigError(f"the logger rsyslog has a malformed priority {priority!r}")
    wrap = rsyslog_datagrams(
        ident,
        int(priority),
        size=options.rsyslog_packet_size,
        split=options.rsyslog_split,
    )
    return DatagramSink(address, wrap)


def _redislog(arguments: str, options: LoggerOptions) -> Sink:
    address, _, rest = arguments.partition(",")
    command, _, prefix = rest.partition(",")
    return RedisSink(address or "127.0.0.1:6379", command or "publish uwsgi", prefix)


_PLUGINS: Mapping[str, Callable[[str, LoggerOptions], Sink]] = {
    "stdio": _stdio,
    "fd": _fd,
    "file": _file,
    "socket": _socket,
    "syslog": _syslog,
    "rsyslog": _rsyslog,
    "redislog": _redislog,
}


@dataclass(frozen=True, slots=True)
class Route:
    """Lines that ``pattern`` finds something in go to the logger ``logger_id``."""

    logger_id: str
    pattern: re.Pattern[bytes]


def compile_route(text: str, option: str) -> Route:
    """Return the route of ``id regexp``. Raises ConfigError."""
    logger_id, _, expression = text.strip().partition(" ")
    if not expression:
        raise ConfigError(f"{option}: {text!r} is not a logger id and a regexp")
    return Route(logger_id, compile_pattern(expression, option))


def compile_pattern(expression: str, option: str) -> re.Pattern[bytes]:
    """Return ``expression`` compiled for lines. Raises ConfigError."""
    try:
        return re.compile(expression.encode())
    except re.error as exc:
        raise ConfigError(f"{option}: malformed regexp {expression!r}: {exc}") from exc


@dataclass(slots=True)
class _Logger:
    """``patterns`` None: gets every line."""

    sink: Sink
    encode: Encode | None
    patterns: list[re.Pattern[bytes]] | None

    def wants(self, line: bytes) -> bool:
        return self.patterns is None or any(p.search(line) for p in self.patterns)


class Stream:
    """One stream of lines (all, or the request lines) and its loggers.

    ``sinks`` are pairs of a logger's id, which may be empty, and where it writes.
    """

    def __init__(
        self,
        sinks: Sequence[tuple[str, Sink]],
        *,
        encoders: Sequence[Encoder] = (),
        routes: Sequence[Route] = (),
        keep: Sequence[re.Pattern[bytes]] = (),
        drop: Sequence[re.Pattern[bytes]] = (),
    ) -> None:
        known = {logger_id for logger_id, _ in sinks}
        for route in routes:
            if route.logger_id not in known:
                raise ConfigError(f"there is no logger with the id {route.logger_id!r}")
        self._keep = tuple(keep)
        self._drop = tuple(drop)
        self._loggers = [
            _Logger(
                sink,
                chain(encoders, logger_id),
                [r.pattern for r in routes if r.logger_id == logger_id]
                if logger_id
                else None,
            )
            for logger_id, sink in sinks
        ]
        self._ear: Callable[[bytes], None] | None = None
        self._is_plain = self._find_out_if_plain()

    def hear(self, callback: Callable[[bytes], None] | None) -> None:
        """Call back with each line, whoever gets it; None: no more."""
        self._ear = callback
        self._is_plain = self._find_out_if_plain()

    @property
    def sinks(self) -> list[Sink]:
        """Where the loggers write."""
        return [logger.sink for logger in self._loggers]

    def replace(self, old: Sink, new: Sink) -> None:
        """Have ``new`` get what ``old`` got."""
        for logger in self._loggers:
            if logger.sink is old:
                logger.sink = new
        self._is_plain = self._find_out_if_plain()

    def _find_out_if_plain(self) -> bool:
        """Whether lines need not be looked at one by one."""
        if len(self._loggers) != 1 or self._keep or self._drop or self._ear:
            return False
        (logger,) = self._loggers
        return (
            logger.sink.takes_many and logger.encode is None and logger.patterns is None
        )

    def write(self, line: bytes) -> None:
        """Give one line, with its newline, to the loggers it is for."""
        if self._ear is not None:
            self._ear(line)
        if self._keep and not any(p.search(line) for p in self._keep):
            return
        if self._drop and any(p.search(line) for p in self._drop):
            return
        for logger in self._loggers:
            if logger.wants(line):
                logger.sink.write(logger.encode(line) if logger.encode else line)

    def write_lines(self, lines: bytes) -> None:
        """Give one or more whole lines to the loggers they are for."""
        if self._is_plain:
            # Nearly every site: the master copies what workers write.
            self._loggers[0].sink.write(lines)
            return
        # Not splitlines(): a carriage return is part of its line.
        for line in lines.split(b"\n")[:-1]:
            self.write(line + b"\n")
