"""Encoders: what is made of a log line before it is written (uWSGI: log-encoder).

``name[:logger id] arguments``, for all lines or for those of one logger. A line comes
with its newline. Pure: the clock is an argument.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from geuwsgi.errors import ConfigError

Encode = Callable[[bytes], bytes]
Clock = Callable[[], float]

_ITEM = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Encoder:
    """One step. ``logger_id`` is empty if it is for every logger."""

    name: str
    logger_id: str
    encode: Encode


def compile_encoder(text: str, clock: Clock = time.time) -> Encoder:
    """Return the encoder that ``text`` describes. Raises ConfigError."""
    # The arguments keep their blanks: "suffix  x" ends lines with " x".
    head, _, arguments = text.partition(" ")
    name, _, logger_id = head.partition(":")
    make = _ENCODERS.get(name)
    if make is None:
        known = ", ".join(sorted(_ENCODERS))
        raise ConfigError(f'log encoder "{name}" not found (known: {known})')
    return Encoder(name, logger_id, make(arguments, clock))


def chain(encoders: Sequence[Encoder], logger_id: str) -> Encode | None:
    """Return the encoders for a logger as one, in their order; None if there are none."""
    steps = [
        encoder.encode for encoder in encoders if encoder.logger_id in {"", logger_id}
    ]
    if not steps:
        return None
    if len(steps) == 1:
        return steps[0]

    def encode(line: bytes) -> bytes:
        for step in steps:
            line = step(line)
        return line

    return encode


def _prefix(arguments: str, clock: Clock) -> Encode:
    prefix = arguments.encode()
    return lambda line: prefix + line


def _suffix(arguments: str, clock: Clock) -> Encode:
    suffix = arguments.encode()
    return lambda line: line + suffix


def _newline(arguments: str, clock: Clock) -> Encode:
    return lambda line: line + b"\n"


def _format(arguments: str, clock: Clock) -> Encode:
    return _template(arguments, clock, lambda line: line)


def _json(arguments: str, clock: Clock) -> Encode:
    return _template(arguments, clock, _json_escape)


def _gzip(arguments: str, clock: Clock) -> Encode:
    import gzip

    return lambda line: gzip.compress(line, mtime=0)


def _compress(arguments: str, clock: Clock) -> Encode:
    return lambda line: zlib.compress(line)


_ENCODERS: Mapping[str, Callable[[str, Clock], Encode]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "nl": _newline,
    "format": _format,
    "json": _json,
    "gzip": _gzip,
    "compress": _compress,
}


def _json_escape(line: bytes) -> bytes:
    """``line`` as the inside of a JSON string; bytes that are no UTF-8 are replaced."""
    return json.dumps(line.decode("utf-8", "replace"))[1:-1].encode()


def _template(text: str, clock: Clock, escape: Encode) -> Encode:
    parts = _ITEM.split(text)
    literals = [part.encode() for part in parts[::2]]
    items = [_item(name, clock, escape) for name in parts[1::2]]

    def encode(line: bytes) -> bytes:
        pieces = [literals[0]]
        for item, literal in zip(items, literals[1:], strict=True):
            pieces.append(item(line))
            pieces.append(literal)
        return b"".join(pieces)

    return encode


def _item(name: str, clock: Clock, escape: Encode) -> Encode:
    if name == "msg":
        return lambda line: escape(line.removesuffix(b"\n"))
    if name == "msgnl":
        return escape
    scale = {"unix": 1, "millis": 1000, "micros": 1_000_000}.get(name)
    if scale is not None:
        return lambda line: b"%d" % int(clock() * scale)
    if name.startswith("strftime:"):
        date_format = name[9:]
        return lambda line: time.strftime(date_format, time.localtime(clock())).encode()
    # What uWSGI does not know, it leaves out.
    return lambda line: b""
