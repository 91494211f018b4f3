"""The request log: one line for each request that is to be logged.

``request_logger`` puts together, once, a filter, a line format and a writer; what it
returns is called with each ended request and costs a few microseconds. Benchmarks and
agents parse these lines, so the default one is uWSGI's to the letter.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

from geuwsgi.log.lineformat import (
    CTIME,
    Dates,
    Surroundings,
    compile_format,
    duration_micros,
    remote_address,
)
from geuwsgi.log.record import Record, escape, header_count, packet_of
from geuwsgi.options.logging import Logging

Format = Callable[[Record], str]
Wanted = Callable[[Record], bool]
Write = Callable[[bytes], object]


def request_logger(
    logging: Logging,
    around: Surroundings,
    write: Write,
    *,
    memory_report: bool = False,
    vhost: bool = False,
) -> Callable[[Record], None] | None:
    """Return what logs a record, or None if no request can ever be logged.

    ``write`` gets one line with its newline at each call.
    """
    around = replace(
        around,
        x_forwarded_for=logging.log_x_forwarded_for,
        date_format=(logging.log_date or "") if logging.log_format_strftime else "",
    )
    line_of: Format
    if logging.log_json:
        line_of = json_format(around)
    elif logging.log_format:
        line_of = compile_format(logging.log_format, around)
    else:
        line_of = default_format(
            around,
            micros=logging.log_micros,
            memory_report=memory_report,
            vhost=vhost,
        )
    wanted = compile_filter(logging)

    def log(record: Record) -> None:
        if not wanted(record):
            return
        # What is not latin-1 was put there by the application.
        write((line_of(record) + "\n").encode("latin-1", "backslashreplace"))

    def log_all(record: Record) -> None:
        if record.log_this:
            write((line_of(record) + "\n").encode("latin-1", "backslashreplace"))

    return log if logging.disable_logging else log_all


def compile_filter(logging: Logging) -> Wanted:
    """Return which requests are logged although logging is disabled."""
    tests: list[Wanted] = []
    if logging.log_4xx:
        tests.append(lambda r: 400 <= r.code < 500)
    if logging.log_5xx:
        tests.append(lambda r: 500 <= r.code < 600)
    if logging.log_slow > 0:
        slow_s = logging.log_slow / 1000
        tests.append(lambda r: r.duration >= slow_s)
    if logging.log_big > 0:
        big = logging.log_big
        tests.append(lambda r: r.body_bytes > big)
    if logging.log_zero:
        tests.append(lambda r: r.body_bytes == 0)
    if logging.log_sendfile:
        tests.append(lambda r: r.via == "sendfile")
    if logging.log_ioerror:
        tests.append(
            lambda r: bool(
                getattr(r, "read_errors", 0) or getattr(r, "write_errors", 0)
            )
        )

    def wanted(record: Record) -> bool:
        if getattr(record, "log_forced", False):
            return True
        return record.log_this and any([test(record) for test in tests])

    return wanted


def default_format(
    around: Surroundings,
    *,
    micros: bool = False,
    memory_report: bool = False,
    vhost: bool = False,
) -> Format:
    """Return the format of uWSGI's default line."""
    pid = around.pid
    total_requests = around.total_requests
    x_forwarded_for = around.x_forwarded_for
    dates = Dates(CTIME)

    def line(record: Record) -> str:
        environ = record.environ
        get = environ.get
        count, size = packet_of(record)
        took = duration_micros(record)
        unit = "micros"
        if not micros:
            took //= 1000
            unit = "msecs"
        via = f" via {record.via}() " if record.via else " "
        return (
            f"[pid: {pid}|app: {record.app_number}|req: {record.app_requests}/"
            f"{total_requests()}] {remote_address(record, x_forwarded_for)}"
            f" ({escape(get('REMOTE_USER') or '')})"
            f" {{{count} vars in {size} bytes}} [{dates.format(record.started)}]"
            f" {escape(get('REQUEST_METHOD') or '')}"
            f" {escape(get('REQUEST_URI') or '')} => generated {record.body_bytes}"
            f" bytes in {took} {unit}{via}({escape(get('SERVER_PROTOCOL') or '')}"
            f" {record.code}) {header_count(record)} headers in"
            f" {record.header_bytes} bytes ({record.switches} switches on core"
            f" {record.core})"
        )

    if not memory_report and not vhost:
        return line

    def prefixed_line(record: Record) -> str:
        prefix = ""
        if memory_report:
            rss, vsz = around.memory()
            prefix = (
                f"{{address space usage: {vsz} bytes/{vsz >> 20}MB}}"
                f" {{rss usage: {rss} bytes/{rss >> 20}MB}} "
            )
        if vhost:
            prefix += f"{escape(record.environ.get('HTTP_HOST') or '')} "
        return prefix + line(record)

    return prefixed_line


def json_format(around: Surroundings) -> Format:
    """Return a format of one JSON object a line (geuwsgi: log-json)."""
    encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode

    def line(record: Record) -> str:
        get = record.environ.get
        address = get("REMOTE_ADDR") or ""
        if around.x_forwarded_for:
            address = get("HTTP_X_FORWARDED_FOR") or address
        started = record.started
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(started))
        fields: dict[str, object] = {
            "time": f"{stamp}.{int(started % 1 * 1e6):06d}Z",
            "pid": around.pid,
            "worker": around.worker_id,
            "core": record.core,
            "app": record.app_number,
            "addr": _readable(address),
            "user": _readable(get("REMOTE_USER") or ""),
            "host": _readable(get("HTTP_HOST") or ""),
            "method": _readable(get("REQUEST_METHOD") or ""),
            "uri": _readable(get("REQUEST_URI") or ""),
            "protocol": _readable(get("SERVER_PROTOCOL") or ""),
            "status": record.code,
            "body_bytes": record.body_bytes,
            "header_bytes": record.header_bytes,
            "micros": duration_micros(record),
            "referer": _readable(get("HTTP_REFERER") or ""),
            "user_agent": _readable(get("HTTP_USER_AGENT") or ""),
        }
        if record.via:
            fields["via"] = record.via
        if record.logvars:
            fields["vars"] = {
                _readable(name): value.decode("utf-8", "replace")
                for name, value in record.logvars.items()
            }
        return encode(fields)

    return line


def _readable(text: str) -> str:
    """Undo the latin-1 of PEP 3333 where the bytes are UTF-8."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
