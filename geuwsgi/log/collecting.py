"""With log-master: everybody's output comes to the master, who gives it to loggers.

The standard descriptors become a pipe: every process that is started afterwards writes
there. Request lines get a pipe of their own if they have loggers of their own.

The master's own lines never go through the pipe: it could fill it and wait for itself.
`MasterStream` takes them where ``sys.stderr`` was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Callable, Iterable, Sequence

from geuwsgi.log.encoders import Encoder, compile_encoder
from geuwsgi.log.loggers import (
    LoggerOptions,
    Stream,
    compile_pattern,
    compile_route,
    open_logger,
)
from geuwsgi.log.output import (
    Output,
    OutputOptions,
    Touched,
    is_datagram_target,
    redirect_standard,
)
from geuwsgi.log.pipe import LineReader, MasterStream
from geuwsgi.log.sinks import DatagramSink, FdSink, Sink
from geuwsgi.log.stamp import line_stamp

# Large, so that a burst does not make workers wait for the master's next turn.
_PIPE_BYTES = 1 << 20


class MasterOutput(Output):
    """The reading end of everybody's output, and the loggers."""

    def __init__(
        self,
        options: OutputOptions,
        touched_reopen: Touched,
        touched_rotate: Touched,
        *,
        target: str,
    ) -> None:
        super().__init__(options, touched_reopen, touched_rotate)
        logging = options.logging
        self._terminal = os.dup(2)
        os.set_inheritable(self._terminal, False)
        self._default: Sink = (
            self._open_target(target) if target else FdSink(self._terminal)
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
        redirect_standard(pipe)
        os.close(pipe)
        self.readers = tuple(self._streams)
        sys.stdout = sys.stderr = MasterStream(
            self._lines.write, line_stamp(options.logging)
        )

    def redirect(self, target: str) -> None:
        """See Output; loggers that the options name stay."""
        sink = self._open_target(target)
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
        redirect_standard(self._terminal)
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
        for_loggers = self._for_loggers(self._terminal)
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

    def _open_target(self, target: str) -> Sink:
        if is_datagram_target(target):
            return DatagramSink(target)
        return self._options.open_file(target, rotates=True)

    def _for_loggers(self, stdout: int) -> LoggerOptions:
        logging = self._options.logging
        return LoggerOptions(
            stdout=stdout,
            mode=logging.logfile_chmod,
            owner=self._options.owner,
            rsyslog_packet_size=logging.rsyslog_packet_size,
            rsyslog_split=logging.rsyslog_split_messages,
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


def _set_pipe_size(fd: int) -> None:
    # Linux; from 3.10 on in the module.
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _encoders(texts: Iterable[str]) -> list[Encoder]:
    return [compile_encoder(text) for text in texts]
