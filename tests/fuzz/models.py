"""Second readings of the packet formats: slow, simple, by the letter of each text.

Each returns what an input says, or None where it must be refused; ``CUT`` where more
bytes are needed. They share nothing with the package but the limits.
"""

from __future__ import annotations

import io
import re
import socket
import struct
from typing import Any

#: More bytes are needed.
CUT = "cut"

_NUMBER = re.compile(r"-?[0-9]{1,19}\Z", re.ASCII)


def uwsgi_items(block: bytes) -> list[bytes] | None:
    """u16 little-endian length, bytes, again, until nothing is left."""
    reader = io.BytesIO(block)
    items = []
    while head := reader.read(2):
        if len(head) != 2:
            return None
        (size,) = struct.unpack("<H", head)
        item = reader.read(size)
        if len(item) != size:
            return None
        items.append(item)
    return items


def uwsgi_vars(block: bytes) -> dict[str, str] | None:
    """Pairs of items; no key is empty; the last of a key counts."""
    items = uwsgi_items(block)
    if items is None or len(items) % 2 or b"" in items[::2]:
        return None
    texts = [item.decode("latin-1") for item in items]
    return {texts[n]: texts[n + 1] for n in range(0, len(texts), 2)}


_COMMANDS = "get set update del exists clear inc dec mul div num keys".split()


def cache_request(form: int, block: bytes) -> dict[str, Any] | None:
    """What is asked for, without the fields that were not given."""
    if form in (0, 2, 5):
        return {"command": "del" if form == 2 else "get", "key": block}
    items = uwsgi_items(block)
    if items is None:
        return None
    if form == 1:
        if len(items) == 2:
            items.append(b"0")
        if len(items) != 3 or not _NUMBER.match(items[2].decode("latin-1")):
            return None
        asked = {"command": "set", "key": items[0], "value": items[1]}
        return {**asked, "expires": int(items[2])}
    if form != 17 or len(items) % 2:
        return None
    given = {items[n]: items[n + 1] for n in range(0, len(items), 2)}
    command = given.get(b"cmd", b"").decode("latin-1")
    request: dict[str, Any] = {"command": command, "key": given.get(b"key", b"")}
    for name in ("size", "expires", "amount"):
        text = given.get(name.encode(), b"0").decode("latin-1")
        if not _NUMBER.match(text):
            return None
        request[name] = int(text)
    request["cache"] = given.get(b"cache", b"").decode("utf-8", "replace")
    return request if command in _COMMANDS and request["size"] >= 0 else None


def scgi_request(octets: bytes, limit: int) -> dict[str, str] | str | None:
    """``[len]":"[string]","`` with name NUL value NUL, CONTENT_LENGTH first, SCGI 1."""
    match = re.match(rb"(0|[1-9][0-9]*):", octets)
    if match is None or len(match[1]) > 7:
        may_go_on = re.fullmatch(rb"|[0-9]{1,7}", octets)
        return CUT if may_go_on else None
    size = int(match[1])
    if size > limit:
        return None
    block, end = octets[match.end() :][:size], octets[match.end() + size :][:1]
    if not end:
        return CUT
    if end != b"," or (block and block[-1:] != b"\0"):
        return None
    items = block.decode("latin-1").split("\0")[:-1]
    names, values = items[::2], items[1::2]
    if len(names) != len(values) or len(set(names)) != len(names) or "" in names:
        return None
    pairs = dict(zip(names, values, strict=True))
    if names[:1] != ["CONTENT_LENGTH"] or pairs.pop("SCGI", None) != "1":
        return None
    return pairs


def fastcgi_pairs(block: bytes) -> dict[str, str] | None:
    """Lengths of one byte, or of four with the highest bit set; then the texts."""
    reader = io.BytesIO(block)
    pairs = {}
    while reader.tell() < len(block):
        sizes = []
        for _ in range(2):
            first = reader.read(1)
            if first and first[0] & 0x80:
                first += reader.read(3)
                if len(first) != 4:
                    return None
                sizes.append(struct.unpack(">I", first)[0] - (1 << 31))
            elif first:
                sizes.append(first[0])
            else:
                return None
        name, value = reader.read(sizes[0]), reader.read(sizes[1])
        if not name or (len(name), len(value)) != tuple(sizes):
            return None
        pairs[name.decode("latin-1")] = value.decode("latin-1")
    return pairs


def fastcgi_records(octets: bytes) -> tuple[list[tuple[int, int, bytes]], str | None]:
    """The records (type, id, content), and how it ended: None is refused."""
    reader = io.BytesIO(octets)
    records: list[tuple[int, int, bytes]] = []
    while head := reader.read(8):
        if head[0] != 1:
            return records, None
        if len(head) < 8:
            return records, CUT
        _, kind, number, size, padding, _ = struct.unpack(">BBHHBB", head)
        content, filling = reader.read(size), reader.read(padding)
        if len(content) + len(filling) < size + padding:
            return records, CUT
        records.append((kind, number, content))
    return records, CUT


def proxy_header(octets: bytes, longest: int) -> tuple[Any, ...] | str | None:
    """(length, source, port, destination, port), addresses packed; b"" for none."""
    signature = bytes.fromhex("0d0a0d0a000d0a515549540a")
    if signature.startswith(octets[:12]):
        return _proxy_2(octets, longest)
    if not b"PROXY ".startswith(octets[:6]):
        return None
    line, end, _ = octets[:107].partition(b"\r\n")
    if not end:
        return CUT if len(octets) < 107 else None
    words = line.decode("latin-1").split(" ")
    nothing = (len(line) + 2, b"", 0, b"", 0)
    if words[1] == "UNKNOWN":
        return nothing if all(" " <= c <= "~" for c in line.decode("latin-1")) else None
    family = {"TCP4": socket.AF_INET, "TCP6": socket.AF_INET6}.get(words[1])
    if family is None or len(words) != 6:
        return None
    said: list[Any] = [len(line) + 2]
    for address, port in ((words[2], words[4]), (words[3], words[5])):
        digits = port.isascii() and port.isdigit() and str(int(port)) == port
        if not digits or int(port) > 65535:
            return None
        try:
            said += [socket.inet_pton(family, address), int(port)]
        except (OSError, ValueError, UnicodeError):
            return None
    return tuple(said)


def _proxy_2(octets: bytes, longest: int) -> tuple[Any, ...] | str | None:
    if len(octets) < 16:
        return CUT
    command, family, size = struct.unpack(">BBH", octets[12:16])
    if command not in (0x20, 0x21) or size > longest:
        return None
    if len(octets) < 16 + size:
        return CUT
    if command == 0x21 and not (family >> 4 <= 3 and family & 15 <= 2):
        return None
    form = {1: ">4s4sHH", 2: ">16s16sHH"}.get(family >> 4)
    if form is None or command == 0x20:
        return 16 + size, b"", 0, b"", 0
    if struct.calcsize(form) > size:
        return None
    source, destination, port, other_port = struct.unpack_from(form, octets, 16)
    return 16 + size, source, port, destination, other_port
