"""Heads between HTTP/2 and what the rest of the server speaks. Pure.

A request becomes the head of an HTTP/1.1 request, so that the one parser judges names,
values, targets and lengths of both; a response is made by the exchange as always and
taken apart again.
"""

from __future__ import annotations

from collections.abc import Iterable

from geuwsgi.errors import RemoteProtocolError

Field = tuple[bytes, bytes]

# RFC 9113 §8.2.2: the connection is not theirs.
_OF_THE_CONNECTION = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection"),
        *(b"transfer-encoding", b"upgrade"),
    }
)


def request_head(fields: Iterable[Field]) -> bytes:
    """Write a request's fields, pseudo-fields first, as the head of HTTP/1.1.

    Without the empty line. Cookies are joined (§8.2.3). Raises RemoteProtocolError
    for what cannot be one.
    """
    pseudo: dict[bytes, bytes] = {}
    lines: list[bytes] = []
    cookies: list[bytes] = []
    for name, value in fields:
        if name.startswith(b":"):
            pseudo[name] = value
        elif name == b"cookie":
            cookies.append(value)
        elif name in _OF_THE_CONNECTION:
            raise RemoteProtocolError(f"field {name.decode('latin-1')} in HTTP/2")
        elif b":" in name:
            # h2 looks at names, too, but not every version at every octet.
            raise RemoteProtocolError(f"malformed field name in HTTP/2: {name!r}")
        elif name != b"host" and name != b"te":
            lines.append(name + b": " + value)
        elif name == b"host":
            pseudo.setdefault(b":authority", value)
    method = pseudo.get(b":method", b"")
    path = pseudo.get(b":path", b"")
    if not method or not path or b":authority" not in pseudo:
        raise RemoteProtocolError("HTTP/2 request without method, path or authority")
    if not path.startswith(b"/") and path != b"*":
        # §8.3.1; HTTP/1.1 would take a whole URI, with a host of its own.
        raise RemoteProtocolError(f"malformed :path of HTTP/2: {path[:100]!r}")
    if pseudo.get(b":scheme", b"https").lower() not in (b"http", b"https"):
        raise RemoteProtocolError(f"unknown :scheme: {pseudo[b':scheme'][:100]!r}")
    head = [b"%b %b HTTP/1.1" % (method, path), b"host: " + pseudo[b":authority"]]
    if cookies:
        head.append(b"cookie: " + b"; ".join(cookies))
    head += lines
    text = b"\r\n".join(head)
    if text.count(b"\n") != len(head) - 1 or text.count(b"\r") != len(head) - 1:
        raise RemoteProtocolError("line feed in a field of HTTP/2")
    return text


def response_fields(head: bytes) -> list[Field]:
    """Take the head of a response, without the empty line, apart again."""
    status_line, *lines = head.split(b"\r\n")
    fields: list[Field] = [(b":status", status_line.split(b" ", 2)[1])]
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name not in _OF_THE_CONNECTION:
            fields.append((name, value.strip()))
    return fields
