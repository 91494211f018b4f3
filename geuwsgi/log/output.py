"""Where the output of an instance's processes goes.

``open_output`` is called once by the master (or the lone process), before it has
children. Without log-master it lets the standard descriptors lead to the log, and that
is all. With it, the standard descriptors become a pipe: every process that is started
afterwards writes there, and the master, which reads it, gives the lines to the loggers.
Request lines get a pipe of their own if they have loggers of their own.

The master's own lines never go through the pipe: it could fill it and wait for itself.
`MasterStream` takes them where ``sys.stderr`` was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from geuwsgi.errors import StartupError
from geuwsgi.log.encoders import Encoder, compile_encoder
from geuwsgi.log.files import FileSink
from geuwsgi.log.loggers import (
    LoggerOptions,
    Stream,
    compile_pattern,
    compile_route,
    open_logger,
)
from geuwsgi.log.pipe import LineReader, MasterStream
from geuwsgi.log.sinks import DatagramSink, FdSink, Sink
from geuwsgi.log.stamp import line_stamp
from geuwsgi.options.logging import Logging

STANDARD_FDS = (1, 2)
# Large, so that a burst does not make workers wait for the master's next turn.
_PIPE_BYTES = 1 << 20


def is_datagram_target(target: str) -> bool:
    """Whether the value of logto is ``host:port`` and no path."""
    host, colon, port = target.rpartition(":")
    return bool(colon and host and port.isdigit() and "/" not in target)


def open_output(
    logging: Logging,
    *,
    target: str = "",
    owner: tuple[int, int] | None = None,
    touch_reopen: Sequence[str] = (),
    touch_rotate: Sequence[str] = (),
) -> Output:
    """Have the output of this process, and of those it starts, go where the options say.

    ``target`` is the file (or ``host:port``) of logto or daemonize. ``owner`` is what
    logfile-chown gives log files to. Raises ConfigError or StartupError.
    """
    options = _Options(logging, owner if logging.logfile_chown else None)
    watched = (_Touched(touch_reopen), _Touched(touch_rotate))
    if not logging.log_master:
        output = Output(options, *watched)
        if target:
            output.redirect(target)
        return output
    return MasterOutput(options, *watched, target=target)


@dataclass(frozen=True, slots=True)
class _Options:
    logging: Logging
    owner: tuple[int, int] | None

    def open_target(self, target: str, *, rotates: bool) -> FileSink | DatagramSink:
        logging = self.logging
        if is_datagram_target(target):
            return DatagramSink(target)
        return FileSink(
            target,
            max_bytes=logging.log_maxsize if rotates else 0,
            backup_name=logging.log_backupname or "",
            mode=logging.logfile_chmod,
            owner=self.owner,
            truncate=logging.log_truncate,
        )

    def for_loggers(self, stdout: int) -> LoggerOptions:
        logging = self.logging
        return LoggerOptions(
            stdout=stdout,
            mode=logging.logfile_chmod,
            owner=self.owner,
            rsyslog_packet_size=logging.rsyslog_packet_size,
            rsyslog_split=logging.rsyslog_split_messages,
        )


class Output:
    """The standard descriptors, leading to a file or to where they led before.

    ``readers`` are descriptors the master has to watch, and to call `read` for.
    ``request_fd`` is where workers write request lines.
    """

    readers: tuple[int, ...] = ()
    request_fd: int = 2

    def __init__(
        self, options: _Options, touched_reopen: _Touched, touched_rotate: _Touched
    ) -> None:
        self._options = options
        self._touched_reopen = touched_reopen
        self._touched_rotate = touched_rotate
        self._file: FileSink | None = None
        self._former = sys.stdout, sys.stderr
        stamp = line_stamp(options.logging)
        if stamp is not None:
            sys.stderr = MasterStream(_write_to_stderr, stamp)

    def redirect(self, target: str) -> None:
        """Have the log go to ``target`` from now on (uWSGI: logto2)."""
        if is_datagram_target(target):
            _redirect_to_datagrams(target)
            return
        sink = self._options.open_target(target, rotates=False)
        assert isinstance(sink, FileSink)
        _redirect(sink.fileno())
        self._file = sink

    def hear(self, callback: Callable[[bytes], None] | None) -> None:
        """Call back with each line, before it is written; None: no more.

        Only with log-master does a line come by here.
        """

    def read(self, fd: int) -> None:
        """Take what ``fd``, one of ``readers``, has."""

    def tick(self) -> None:
        """Do what is due; to be called about once a second."""
        if self._touched_reopen.is_touched():
            self.reopen()
        if self._touched_rotate.is_touched():
            self.rotate()

    def reopen(self) -> None:
        """Open the log files anew, after somebody moved them.

        Without log-master this reaches the master and processes started later.
        """
        if self._file is not None:
            self._file.reopen()
            _redirect(self._file.fileno())

    def rotate(self) -> None:
        """Rename the log files and begin new ones."""
        if self._file is not None:
            self._file.rotate()
            _redirect(self._file.fileno())

    def close(self) -> None:
        """Write what is left, after all other processes have ended."""
        sys.stdout, sys.stderr = self._former


class MasterOutput(Output):
    """The reading end of everybody's output, and the loggers."""

    def __init__(
        self,
        options: _Options,
        touched_reopen: _Touched,
        touched_rotate: _Touched,
        *,
        target: str,
    ) -> None:
        super().__init__(options, touched_reopen, touched_rotate)
        logging = options.logging
        self._terminal = os.dup(2)
        os.set_inheritable(self._terminal, False)
        self._default: Sink = (
            options.open_target(target, rotates=True)
            if target
            else FdSink(self._terminal)
        )
        loggers = [
            *logging.logger,
            *logging.worker_logger,
            *(f"socket:{address}" for address in logging.log_socket),
            *(f"syslog:{arguments}" for arguments in logging.log_syslog),
        ]
        self._streams: dict[int, LineReader] = {}
        self._lines = self._stream(
            loggers,
            (*logging.log_encoder, *logging.worker_log_encoder),
            logging.log_route,
            "log-route",
        )
        pipe = self._open_pipe(self._lines)
        requests = (
            (*logging.req_logger, *logging.worker_logger_req),
            (*logging.log_req_encoder, *logging.worker_log_req_encoder),
            logging.log_req_route,
        )
        if any(requests):
            self._requests: Stream | None = self._stream(*requests, "log-req-route")
            self.request_fd = self._open_pipe(self._requests)
        else:
            self._requests = None
        sys.stdout.flush()
        sys.stderr.flush()
        _redirect(pipe)
        os.close(pipe)
        self.readers = tuple(self._streams)
        sys.stdout = sys.stderr = MasterStream(
            self._lines.write, line_stamp(options.logging)
        )

    def redirect(self, target: str) -> None:
        """See Output; loggers that the options name stay."""
        sink = self._options.open_target(target, rotates=True)
        for stream in self._all_streams():
            stream.replace(self._default, sink)
        self._default.close()
        self._default = sink

    def hear(self, callback: Callable[[bytes], None] | None) -> None:
        """See Output."""
        for stream in self._all_streams():
            stream.hear(callback)

    def read(self, fd: int) -> None:
        """See Output."""
        self._streams[fd].read()

    def tick(self) -> None:
        """See Output."""
        super().tick()
        for reader in self._streams.values():
            reader.tick()
        for sink in self._sinks():
            sink.tick()

    def reopen(self) -> None:
        """See Output."""
        for sink in self._sinks():
            sink.reopen()

    def rotate(self) -> None:
        """See Output."""
        for sink in self._sinks():
            sink.rotate()

    def close(self) -> None:
        """See Output."""
        super().close()
        for fd, reader in self._streams.items():
            reader.drain()
            os.close(fd)
        self._streams.clear()
        for sink in self._sinks():
            sink.close()
        # What ends the process may still have something to say.
        _redirect(self._terminal)
        os.close(self._terminal)
        if self.request_fd != 2:
            os.close(self.request_fd)
            self.request_fd = 2

    def _stream(
        self,
        loggers: Sequence[str],
        encoders: Sequence[str],
        routes: Sequence[str],
        option: str,
    ) -> Stream:
        logging = self._options.logging
        for_loggers = self._options.for_loggers(self._terminal)
        sinks = [open_logger(text, for_loggers) for text in loggers]
        if all(logger_id for logger_id, _ in sinks):
            # With an id it gets only what is routed to it: the rest goes its usual way.
            sinks.append(("", self._default))
        return Stream(
            sinks,
            encoders=_encoders(encoders),
            routes=[compile_route(text, option) for text in routes],
            keep=[compile_pattern(text, "log-filter") for text in logging.log_filter],
            drop=[compile_pattern(text, "log-drain") for text in logging.log_drain],
        )

    def _open_pipe(self, stream: Stream) -> int:
        """Open a pipe whose reading end feeds ``stream``; return the writing end."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        _set_pipe_size(writer)
        self._streams[reader] = LineReader(reader, stream.write_lines)
        return writer

    def _all_streams(self) -> list[Stream]:
        return [one for one in (self._lines, self._requests) if one is not None]

    def _sinks(self) -> list[Sink]:
        sinks: list[Sink] = []
        for stream in self._all_streams():
            sinks += [sink for sink in stream.sinks if sink not in sinks]
        return sinks


class _Touched:
    """Files whose time of change is a command."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._times = {path: _time_of(path) for path in paths}

    def is_touched(self) -> bool:
        """Whether one was changed, made or removed since the last call."""
        touched = False
        for path, before in self._times.items():
            now = _time_of(path)
            if now != before:
                self._times[path] = now
                touched = True
        return touched


def _time_of(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _encoders(texts: Iterable[str]) -> list[Encoder]:
    return [compile_encoder(text) for text in texts]


def _write_to_stderr(line: bytes) -> None:
    # A full disk is no reason to stop serving.
    with contextlib.suppress(OSError):
        os.write(2, line)


def _redirect(fd: int) -> None:
    for standard in STANDARD_FDS:
        os.dup2(fd, standard)


def _redirect_to_datagrams(target: str) -> None:
    host, _, port = target.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        try:
            opened.connect((host, int(port)))
        except (OSError, OverflowError) as exc:
            raise StartupError(f"cannot send the log to {target}: {exc}") from exc
        _redirect(opened.fileno())


def _set_pipe_size(fd: int) -> None:
    # Linux; from 3.10 on in the module.
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
