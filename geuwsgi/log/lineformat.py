"""``log-format``: a template with ``%(name)`` items, compiled once.

An item is a fact of the request, ``var.NAME`` (a request variable), ``metric.NAME``,
or a variable that the application set (``uwsgi.set_logvar``). What is missing or empty
becomes ``-``. All that comes from outside is escaped (`record.escape`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from geuwsgi.log.record import Record, escape, header_count, packet_of

Item = Callable[[Record], str]

_ITEM = re.compile(r"%\(([^)]*)\)")


def _no_memory() -> tuple[int, int]:
    return 0, 0


def _no_metric(name: str) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a line may tell beside the request.

    ``memory`` returns rss and vsz in bytes, ``total_requests`` what the instance has
    answered, ``metric`` the value of a metric or None. ``date_format`` is that of
    ``%(ftime)``.
    """

    pid: int = 0
    worker_id: int = 0
    memory: Callable[[], tuple[int, int]] = _no_memory
    total_requests: Callable[[], int] = int
    metric: Callable[[str], int | None] = _no_metric
    date_format: str = ""
    x_forwarded_for: bool = False


def compile_format(template: str, around: Surroundings) -> Callable[[Record], str]:
    """Return a function that makes the line of a record, without a newline."""
    parts = _ITEM.split(template)
    literals = [part.replace("%", "%%") for part in parts[::2]]
    items = [compile_item(name, around) for name in parts[1::2]]
    pattern = "%s".join(literals)

    def format_line(record: Record) -> str:
        return pattern % tuple([item(record) for item in items])

    return format_line


def compile_item(name: str, around: Surroundings) -> Item:
    """Return a function that gives the text of one ``%(name)``."""
    fact = _facts(around).get(name)
    if fact is not None:
        return fact
    key = _ENVIRON_ITEMS.get(name)
    if key is not None:
        return _variable(key)
    if name.startswith("var."):
        return _variable(name[4:])
    if name.startswith("metric."):
        return _metric(name[7:], around)
    return _logvar(name)


_ENVIRON_ITEMS: Mapping[str, str] = {
    "uri": "REQUEST_URI",
    "method": "REQUEST_METHOD",
    "user": "REMOTE_USER",
    "host": "HTTP_HOST",
    "proto": "SERVER_PROTOCOL",
    "uagent": "HTTP_USER_AGENT",
    "referer": "HTTP_REFERER",
}


def remote_address(record: Record, x_forwarded_for: bool) -> str:
    """Return who asked; with ``x_forwarded_for`` as far as proxies tell."""
    get = record.environ.get
    if x_forwarded_for:
        forwarded = get("HTTP_X_FORWARDED_FOR")
        if forwarded:
            return escape(forwarded)
    return escape(get("REMOTE_ADDR") or "")


def unix_micros(record: Record) -> int:
    """Return when the request began, in microseconds."""
    return int(record.started * 1_000_000)


def duration_micros(record: Record) -> int:
    """Return how long the request took, in microseconds."""
    return int(record.duration * 1_000_000)


class Dates:
    """Formats seconds; remembers the last one, since requests share it."""

    __slots__ = ("_format", "_second", "_text")

    def __init__(self, date_format: str) -> None:
        self._format = date_format
        self._second = -1
        self._text = ""

    def format(self, seconds: float) -> str:
        """Return local time ``seconds`` (unix) in the format."""
        second = int(seconds)
        if second != self._second:
            self._text = time.strftime(self._format, time.localtime(second))
            self._second = second
        return self._text


# ctime(3) pads the day with a blank.
CTIME = "%a %b %e %H:%M:%S %Y"
COMMON_LOG_TIME = "%d/%b/%Y:%H:%M:%S %z"


def _facts(around: Surroundings) -> Mapping[str, Item]:
    common = Dates(COMMON_LOG_TIME)
    own = Dates(around.date_format or COMMON_LOG_TIME)
    ctime = Dates(CTIME)
    mebi = 1 << 20
    return {
        "addr": lambda r: remote_address(r, around.x_forwarded_for) or "-",
        "status": lambda r: str(r.code),
        "rsize": lambda r: str(r.body_bytes),
        "hsize": lambda r: str(r.header_bytes),
        "size": lambda r: str(r.body_bytes + r.header_bytes),
        "cl": lambda r: _number(r.environ.get("CONTENT_LENGTH")),
        "micros": lambda r: str(duration_micros(r)),
        "msecs": lambda r: str(duration_micros(r) // 1000),
        "secs": lambda r: f"{r.duration:.6f}",
        "tmsecs": lambda r: str(unix_micros(r) // 1000),
        "tmicros": lambda r: str(unix_micros(r)),
        "time": lambda r: str(int(r.started)),
        "epoch": lambda r: str(int(time.time())),
        "ltime": lambda r: common.format(r.started),
        "ftime": lambda r: own.format(r.started),
        "ctime": lambda r: ctime.format(r.started),
        "pid": lambda r: str(around.pid),
        "wid": lambda r: str(around.worker_id),
        "switches": lambda r: str(r.switches),
        "vars": lambda r: str(packet_of(r)[0]),
        "pktsize": lambda r: str(packet_of(r)[1]),
        "core": lambda r: str(r.core),
        "rss": lambda r: str(around.memory()[0]),
        "vsz": lambda r: str(around.memory()[1]),
        "rssM": lambda r: str(around.memory()[0] // mebi),
        "vszM": lambda r: str(around.memory()[1] // mebi),
        # Packets of other modifiers never become requests of an application.
        "modifier1": lambda r: "0",
        "modifier2": lambda r: "0",
        "headers": lambda r: str(header_count(r)),
        "werr": lambda r: str(int(getattr(r, "write_errors", 0))),
        "rerr": lambda r: str(int(getattr(r, "read_errors", 0))),
        "ioerr": lambda r: str(
            int(getattr(r, "write_errors", 0)) + int(getattr(r, "read_errors", 0))
        ),
    }


def _number(text: object) -> str:
    """The digits of ``text``; a body of unknown length counts as 0, as in uWSGI."""
    word = str(text or "0")
    return word if word.isascii() and word.isdigit() else "0"


def _variable(key: str) -> Item:
    def item(record: Record) -> str:
        value = record.environ.get(key)
        if not value:
            return "-"
        return escape(value if type(value) is str else str(value))

    return item


def _logvar(name: str) -> Item:
    def item(record: Record) -> str:
        variables = record.logvars
        value = variables.get(name) if variables is not None else None
        return escape(value.decode("latin-1")) if value else "-"

    return item


def _metric(name: str, around: Surroundings) -> Item:
    def item(record: Record) -> str:
        value = around.metric(name)
        return "-" if value is None else str(value)

    return item
