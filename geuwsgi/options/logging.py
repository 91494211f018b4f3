"""Logs."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, MODE, TEXT, TEXTS, Takes


class Logging(Section):
    """Logs."""

    disable_logging: bool = option(
        "do not write a log line per request (any value but a false word keeps it on)",
        FLAG,
        short="L",
    )
    log_4xx: bool = option("with logging off: still log 4xx", FLAG)
    log_5xx: bool = option("with logging off: still log 5xx", FLAG)
    log_backupname: str | None = option("name given to the rotated file", TEXT)
    log_big: int = option(
        "with logging off: still log responses larger than N bytes", BYTES, at_least=0
    )
    log_date: str | None = option(
        "prefix lines with the date (optional strftime format)",
        TEXT,
        aliases=("logdate",),
        takes=Takes.MAYBE,
    )
    log_drain: tuple[str, ...] = option(
        "drop log lines that match a regexp (PCRE builds)",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_encoder: tuple[str, ...] = option(
        "transform log lines (format/json/prefix/nl/gzip...; name[:logger id] args)",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_filter: tuple[str, ...] = option(
        "keep only log lines that match a regexp (PCRE builds)",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_format: str | None = option(
        "request log line template with %(var) items", TEXT, aliases=("logformat",)
    )
    log_format_strftime: bool = option(
        "run the finished template through strftime too",
        FLAG,
        aliases=("logformat-strftime",),
    )
    log_ioerror: bool = option(
        "with logging off: still log requests that had I/O errors (needs a value)",
        FLAG,
        takes=Takes.VALUE,
    )
    log_master: bool = option(
        "workers send log lines to the master, which writes them",
        FLAG,
        implies=("master",),
    )
    log_master_bufsize: int = option(
        "largest log message through the master (default 8192)",
        BYTES,
        default=8192,
        at_least=0,
    )
    log_maxsize: int = option(
        "rotate the log when it exceeds N bytes",
        BYTES,
        at_least=0,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_micros: bool = option("response time in microseconds in the default line", FLAG)
    log_prefix: str | None = option(
        "prefix lines with a fixed string", TEXT, takes=Takes.MAYBE
    )
    log_reopen: bool = option("reopen the log file after a reload", FLAG)
    log_req_encoder: tuple[str, ...] = option(
        "same for request log lines",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_req_route: tuple[str, ...] = option(
        "send matching request lines to a named logger (PCRE builds)",
        TEXTS,
        implies=("log-master",),
    )
    log_route: tuple[str, ...] = option(
        "send matching log lines to a named logger (PCRE builds)",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_sendfile: bool = option(
        "with logging off: still log sendfile responses (needs a value)",
        FLAG,
        takes=Takes.VALUE,
    )
    log_slow: int = option(
        "with logging off: still log requests slower than N milliseconds", INT
    )
    log_socket: tuple[str, ...] = option(
        "send logs to a socket address",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_syslog: tuple[str, ...] = option(
        "send logs to syslog ([ident[,facility]])",
        TEXTS,
        takes=Takes.MAYBE,
        implies=(
            "master",
            "log-master",
        ),
    )
    log_truncate: bool = option("truncate the log file at start", FLAG)
    log_x_forwarded_for: bool = option(
        "use the X-Forwarded-For address in the log line", FLAG
    )
    log_zero: bool = option("with logging off: still log responses without body", FLAG)
    logfile_chmod: int | None = option("chmod log files", MODE, takes=Takes.VALUE)
    logfile_chown: bool = option("chown log files to uid/gid", FLAG)
    logger: tuple[str, ...] = option(
        "add a logger for all other lines: [id ]plugin[:args]",
        TEXTS,
        implies=(
            "master",
            "log-master",
        ),
    )
    req_logger: tuple[str, ...] = option(
        "add a logger for request lines: [id ]plugin[:args]",
        TEXTS,
        aliases=("logger-req",),
        implies=("log-master",),
    )
    logto: str | None = option("log to a file, or to host:port over UDP", TEXT)
    logto2: str | None = option("same, opened after the privilege drop", TEXT)
    rsyslog_packet_size: int = option(
        "packet size for the remote syslog logger (default 1024)",
        INT,
        default=1024,
        at_least=0,
    )
    rsyslog_split_messages: bool = option("split long messages", FLAG)
    worker_log_encoder: tuple[str, ...] = option(
        "log encoder in the worker", TEXTS, since="2.1"
    )
    worker_log_req_encoder: tuple[str, ...] = option(
        "request log encoder in the worker", TEXTS, since="2.1"
    )
    worker_logger: tuple[str, ...] = option(
        "logger for a single worker setup", TEXTS, since="2.1"
    )
    worker_logger_req: tuple[str, ...] = option(
        "request logger for a single worker setup", TEXTS, since="2.1"
    )
