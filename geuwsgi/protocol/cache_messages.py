"""Requests to caches of other servers: uwsgi packets with modifier1 111.

``modifier2`` 17 carries a dictionary (``cmd``, ``key``, ``cache``, ``size``,
``expires``) and, behind the packet, the value; the answer is a dictionary with
``status`` ``ok`` and, for ``get``, the value behind it. A request that fails is answered
by closing the connection. Expiry times are seconds from now in requests and absolute in
answers.

Older forms: 0 and 5 get (four bytes, then the value), 1 set, 2 delete. uWSGI 2.0 puts
garbage into the four bytes; here they are a header.

``inc``, ``dec``, ``mul``, ``div``, ``num`` and ``keys`` are ours: uWSGI closes the
connection on them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import uwsgi

GET, SET, DELETE, STREAM, MAGIC = 0, 1, 2, 5, 17
COMMANDS = frozenset(
    [
        "get",
        "set",
        "update",
        "del",
        "exists",
        "clear",
        "inc",
        "dec",
        "mul",
        "div",
        "num",
        "keys",
    ]
)
_NUMBER = re.compile(rb"-?[0-9]{1,19}")


@dataclass(slots=True)
class CacheRequest:
    """What is asked. ``size`` bytes of value follow the packet, for set and update.

    ``form`` is the modifier2 it came in, and decides how the answer looks.
    """

    command: str
    key: bytes = b""
    cache: str = ""
    size: int = 0
    expires: int = 0
    amount: int = 0
    form: int = MAGIC
    value: bytes = b""


@dataclass(slots=True)
class CacheAnswer:
    """What came back. ``size`` bytes of value follow the packet."""

    size: int = 0
    expires: int = 0


def decode_request(modifier2: int, block: bytes) -> CacheRequest:
    """Return the request in a packet's block. Raises RemoteProtocolError."""
    if modifier2 == MAGIC:
        return _decode_magic(_decode_dictionary(block))
    if modifier2 in (GET, STREAM):
        return CacheRequest("get", key=block, form=modifier2)
    if modifier2 == DELETE:
        return CacheRequest("del", key=block, form=modifier2)
    if modifier2 == SET:
        items = uwsgi.decode_array(block)
        if not 2 <= len(items) <= 3:
            raise RemoteProtocolError(f"a cache request of {len(items)} items")
        expires = _number(items[2], "expires") if len(items) == 3 else 0
        return CacheRequest(
            "set", key=items[0], value=items[1], expires=expires, form=modifier2
        )
    raise RemoteProtocolError(f"unknown kind of cache request: {modifier2}")


def _decode_magic(fields: dict[bytes, bytes]) -> CacheRequest:
    command = fields.get(b"cmd", b"").decode("latin-1")
    if command not in COMMANDS:
        raise RemoteProtocolError(f"unknown cache command: {command!r}")
    size = _number(fields.get(b"size", b"0"), "size")
    if size < 0:
        raise RemoteProtocolError(f"a cache value of {size} bytes")
    return CacheRequest(
        command,
        key=fields.get(b"key", b""),
        cache=fields.get(b"cache", b"").decode("utf-8", "replace"),
        size=size,
        expires=_number(fields.get(b"expires", b"0"), "expires"),
        amount=_number(fields.get(b"amount", b"0"), "amount"),
    )


def encode_request(request: CacheRequest) -> bytes:
    """Return the packet of a request, without the value that follows it."""
    fields = {b"cmd": request.command.encode()}
    if request.key:
        fields[b"key"] = request.key
    if request.size:
        fields[b"size"] = b"%d" % request.size
    if request.expires:
        fields[b"expires"] = b"%d" % request.expires
    if request.amount:
        fields[b"amount"] = b"%d" % request.amount
    if request.cache:
        fields[b"cache"] = request.cache.encode()
    return uwsgi.encode_packet(uwsgi.CACHE, uwsgi.encode_vars(fields), MAGIC)


def encode_answer(form: int, value: bytes | None, expires: int = 0) -> bytes:
    """Return the answer to a request that was done.

    ``value`` is None where there is none to give. Old forms of set and delete have no
    answer.
    """
    if form == MAGIC:
        fields = {b"status": b"ok"}
        if value is not None:
            fields[b"size"] = b"%d" % len(value)
            if expires:
                fields[b"expires"] = b"%d" % expires
        block = uwsgi.encode_vars(fields)
        return uwsgi.encode_packet(uwsgi.CACHE, block, MAGIC) + (value or b"")
    if form == STREAM:
        return uwsgi.encode_packet(uwsgi.CACHE, b"", 1) + (value or b"")
    if form == GET and value is not None:
        size = min(len(value), 0xFFFF)
        return bytes((uwsgi.CACHE, size & 0xFF, size >> 8, 0)) + value
    return b""


def encode_missing(form: int) -> bytes:
    """Return the answer to a request that was not done: mostly none at all."""
    return uwsgi.encode_packet(uwsgi.CACHE, b"", 0) if form == STREAM else b""


def decode_answer(block: bytes) -> CacheAnswer:
    """Return what an answer's block says. Raises RemoteProtocolError."""
    fields = _decode_dictionary(block)
    if fields.get(b"status") != b"ok":
        raise RemoteProtocolError(f"cache answer with status {fields.get(b'status')!r}")
    size = _number(fields.get(b"size", b"0"), "size")
    if size < 0:
        raise RemoteProtocolError(f"a cache value of {size} bytes")
    return CacheAnswer(size, _number(fields.get(b"expires", b"0"), "expires"))


def _decode_dictionary(block: bytes) -> dict[bytes, bytes]:
    items = uwsgi.decode_array(block)
    if len(items) % 2:
        raise RemoteProtocolError("a uwsgi dictionary whose last key has no value")
    return dict(zip(items[::2], items[1::2], strict=True))


def _number(text: bytes, name: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise RemoteProtocolError(f"malformed {name} in a cache message: {text!r}")
    return int(text)
