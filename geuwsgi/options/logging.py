"""Logs."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, MODE, TEXT, TEXTS, Takes


class Logging(Section):
    """Logs."""

    disable_logging: bool = option("write no log line for requests", FLAG, short="L")
    log_4xx: bool = option(
        "log requests answered with 4xx even if logging is disabled", FLAG
    )
    log_5xx: bool = option(
        "log requests answered with 5xx even if logging is disabled", FLAG
    )
    log_backupname: str | None = option("name the rotated log file so", TEXT)
    log_big: int = option(
        "log responses above this many bytes even if logging is disabled",
        BYTES,
        at_least=0,
    )
    log_buffer: int = option(
        "collect up to N bytes of request lines in a worker, at most for a second",
        BYTES,
        at_least=0,
        since="geuwsgi",
    )
    log_date: str | None = option(
        "begin log lines with the date, in this format",
        TEXT,
        aliases=("logdate",),
        takes=Takes.MAYBE,
    )
    log_drain: tuple[str, ...] = option(
        "drop log lines that match this regexp",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_encoder: tuple[str, ...] = option(
        "change log lines with this encoder: name arguments",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_filter: tuple[str, ...] = option(
        "keep only log lines that match this regexp",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_format: str | None = option(
        "write request log lines in this format", TEXT, aliases=("logformat",)
    )
    log_format_strftime: bool = option(
        "format dates in request log lines with strftime",
        FLAG,
        aliases=("logformat-strftime",),
    )
    log_ioerror: bool = option(
        "log requests cut off by their peer even if logging is disabled",
        FLAG,
        takes=Takes.VALUE,
    )
    log_json: bool = option(
        "write request lines as JSON objects", FLAG, since="geuwsgi"
    )
    log_master: bool = option(
        "let the master write the log of all processes", FLAG, implies=("master",)
    )
    log_maxsize: int = option(
        "rotate the log file above this many bytes",
        BYTES,
        at_least=0,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_micros: bool = option("print response times in microseconds", FLAG)
    log_prefix: str | None = option(
        "begin log lines with this text", TEXT, takes=Takes.MAYBE
    )
    log_reopen: bool = option("open the log file again after a reload", FLAG)
    log_req_encoder: tuple[str, ...] = option(
        "change request log lines with this encoder: name arguments",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_req_route: tuple[str, ...] = option(
        "send matching request log lines to a logger: logger regexp",
        TEXTS,
        implies=("log-master",),
    )
    log_route: tuple[str, ...] = option(
        "send matching log lines to a logger: logger regexp",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_sendfile: bool = option(
        "log responses sent as files even if logging is disabled",
        FLAG,
        takes=Takes.VALUE,
    )
    log_slow: int = option(
        "log requests above this many milliseconds even if logging is disabled", INT
    )
    log_socket: tuple[str, ...] = option(
        "send the log to this address",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_syslog: tuple[str, ...] = option(
        "send the log to syslog: [ident[,facility]]",
        TEXTS,
        takes=Takes.MAYBE,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_truncate: bool = option("empty the log file at start", FLAG)
    log_x_forwarded_for: bool = option(
        "log the address from the X-Forwarded-For header", FLAG
    )
    log_zero: bool = option(
        "log responses without a body even if logging is disabled", FLAG
    )
    logfile_chmod: int | None = option(
        "give log files this mode", MODE, takes=Takes.VALUE
    )
    logfile_chown: bool = option(
        "give log files to the user and group of the server", FLAG
    )
    logger: tuple[str, ...] = option(
        "add a logger: [id ]plugin[:arguments]",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    req_logger: tuple[str, ...] = option(
        "add a logger for request lines: [id ]plugin[:arguments]",
        TEXTS,
        aliases=("logger-req",),
        implies=("log-master",),
    )
    logto: str | None = option("write the log to this file or UDP address", TEXT)
    logto2: str | None = option(
        "write the log to this file after privileges were dropped", TEXT
    )
    rsyslog_packet_size: int = option(
        "send packets of up to this many bytes to a remote syslog",
        INT,
        default=1024,
        at_least=0,
    )
    rsyslog_split_messages: bool = option("split messages too long for a packet", FLAG)
    worker_log_encoder: tuple[str, ...] = option(
        "change log lines with this encoder, as log-encoder",
        TEXTS,
        since="2.1",
        implies=(
            "master",
            "log-master",
        ),
    )
    worker_log_req_encoder: tuple[str, ...] = option(
        "change request log lines with this encoder, as log-req-encoder",
        TEXTS,
        since="2.1",
        implies=(
            "master",
            "log-master",
        ),
    )
    worker_logger: tuple[str, ...] = option(
        "add a logger, as logger",
        TEXTS,
        since="2.1",
        implies=(
            "master",
            "log-master",
        ),
    )
    worker_logger_req: tuple[str, ...] = option(
        "add a logger for request lines, as req-logger",
        TEXTS,
        since="2.1",
        implies=(
            "master",
            "log-master",
        ),
    )
