"""What a request line is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

# What ends a line or a quoted field, or steers a terminal. C1 controls are left: they
# are bytes of UTF-8.
_UNSAFE = re.compile(r'[\x00-\x1f"\\\x7f]')


class Head(Protocol):
    """The head of a response, as far as a log tells of it."""

    @property
    def code(self) -> int: ...
    @property
    def count(self) -> int: ...


class Record(Protocol):
    """An ended request: the server's exchange, as far as a log tells of it.

    ``started`` is unix seconds, ``duration`` seconds. ``vars_count`` counts keys and
    values, it and ``packet_size`` are 0 where no packet came. ``via`` is ``sendfile``,
    ``route``, ``offload`` or nothing. ``code`` is 0 if nothing was answered.
    """

    @property
    def environ(self) -> Mapping[str, Any]: ...
    @property
    def head(self) -> Head | None: ...
    @property
    def code(self) -> int: ...
    @property
    def started(self) -> float: ...
    @property
    def duration(self) -> float: ...
    @property
    def app_number(self) -> int: ...
    @property
    def app_requests(self) -> int: ...
    @property
    def vars_count(self) -> int: ...
    @property
    def packet_size(self) -> int: ...
    @property
    def body_bytes(self) -> int: ...
    @property
    def header_bytes(self) -> int: ...
    @property
    def switches(self) -> int: ...
    @property
    def core(self) -> int: ...
    @property
    def via(self) -> str: ...
    @property
    def log_this(self) -> bool: ...
    @property
    def logvars(self) -> Mapping[str, bytes] | None: ...


def escape(text: str) -> str:
    r"""Return ``text`` so that it can neither end the line nor the quotes around it.

    Control characters, quotes and backslashes become ``\xNN``, as in nginx. uWSGI
    writes them as they come, so a peer can add lines to its log.
    """
    if _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(lambda match: f"\\x{ord(match[0]):02X}", text)


def header_count(record: Record) -> int:
    """Return how many header fields the application gave."""
    return 0 if record.head is None else record.head.count


def packet_of(record: Record) -> tuple[int, int]:
    """Return the number of keys and values of the request, and their packet's size.

    uWSGI makes a packet of an HTTP request as well; here its size is reckoned.
    """
    if record.packet_size:
        return record.vars_count, record.packet_size
    count = 0
    size = 0
    for key, value in record.environ.items():
        # wsgi.*, uwsgi.* and those of middleware are no request variables.
        if type(value) is str and "." not in key:
            count += 2
            size += len(key) + len(value) + 4
    return count, size
