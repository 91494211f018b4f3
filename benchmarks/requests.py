"""The bytes that the load clients send: HTTP requests and uwsgi packets."""

from __future__ import annotations

import struct

BROWSER_FIELDS: tuple[tuple[str, str], ...] = (
    ("Host", "127.0.0.1:8000"),
    ("Connection", "keep-alive"),
    ("Cache-Control", "max-age=0"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/130.0.0.0 Safari/537.36",
    ),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,"
        "image/webp,*/*;q=0.8",
    ),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Accept-Language", "en-US,en;q=0.9"),
    ("Referer", "http://127.0.0.1:8000/previous/page?with=query"),
    (
        "Cookie",
        "session=eyJ1c2VyIjoxfQ.ZzY0.abcdefghijklmnop; theme=dark; csrftoken=x1y2",
    ),
    ("Upgrade-Insecure-Requests", "1"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
)
"""What a browser sends with a page request: 12 fields."""

FEW_FIELDS = (BROWSER_FIELDS[0], ("Accept", "*/*"))


def http_request(
    path: str = "/",
    *,
    fields: tuple[tuple[str, str], ...] = BROWSER_FIELDS,
    body: bytes = b"",
    upload: int = 0,
    close: bool = False,
) -> bytes:
    """One HTTP/1.1 request; with `close` it announces that no other follows.

    With `upload` it announces so many bytes, which the client sends without `body`.
    """
    length = upload or len(body)
    lines = [f"{'POST' if length else 'GET'} {path} HTTP/1.1"]
    for name, value in fields:
        if close and name == "Connection":
            continue
        lines.append(f"{name}: {value}")
    if close:
        lines.append("Connection: close")
    if length:
        lines.append("Content-Type: application/octet-stream")
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def http_requests(count: int) -> tuple[bytes, ...]:
    """Requests of as many visitors: path, Referer, Cookie and more differ.

    This is what reaches a server behind a proxy that keeps connections, where a
    connection carries one visitor's request after another's.
    """
    return tuple(
        http_request(
            f"/page/{number}?from={number * 7919}",
            fields=tuple(
                (name, f"{value}{number}" if name in ("Cookie", "Referer") else value)
                for name, value in BROWSER_FIELDS
            ),
        )
        for number in range(count)
    )


def uwsgi_packet(
    path: str = "/",
    *,
    fields: tuple[tuple[str, str], ...] = BROWSER_FIELDS,
    body: bytes = b"",
) -> bytes:
    """The packet that nginx with its `uwsgi_params` makes of the same request."""
    url, _, query = path.partition("?")
    variables = [
        ("QUERY_STRING", query),
        ("REQUEST_METHOD", "POST" if body else "GET"),
        ("CONTENT_TYPE", "application/octet-stream" if body else ""),
        ("CONTENT_LENGTH", str(len(body)) if body else ""),
        ("REQUEST_URI", path),
        ("PATH_INFO", url),
        ("DOCUMENT_ROOT", "/usr/share/nginx/html"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_SCHEME", "http"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_PORT", "51234"),
        ("SERVER_PORT", "8000"),
        ("SERVER_NAME", "localhost"),
    ]
    variables += [
        ("HTTP_" + name.upper().replace("-", "_"), value) for name, value in fields
    ]
    block = b"".join(
        struct.pack("<H", len(text)) + text.encode("latin-1")
        for pair in variables
        for text in pair
    )
    return struct.pack("<BHB", 0, len(block), 0) + block + body
