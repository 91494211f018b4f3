"""Bodies that are changed or kept."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.server.transform import compress_marked

Routed = Callable[..., Any]


def pieces(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer with a body in pieces: as an iterator, or as a list."""
    query = environ["QUERY_STRING"]
    headers = [("Content-Type", "text/plain")]
    if "length" in query:
        headers.append(("Content-Length", "11"))
    if "encoded" in query:
        headers.append(("Content-Encoding", "br"))
    if "tag" in query:
        headers.append(("ETag", '"strong"'))
    if "marked" in query:
        headers.append(("uWSGI-Encoding", "gzip"))
    start_response("404 Gone" if "gone" in query else "200 OK", headers)
    body = [b"hello ", b"", b"world"]
    return body if "list" in query else iter(body)


def split(answer: str) -> tuple[str, bytes]:
    head, _, body = answer.partition("\r\n\r\n")
    octets = body.encode("latin-1")
    if "Transfer-Encoding: chunked" in head:
        decoded = b""
        while octets:
            size, _, rest = octets.partition(b"\r\n")
            decoded += rest[: int(size, 16)]
            octets = rest[int(size, 16) + 2 :]
        octets = decoded
    return head, octets


@pytest.mark.parametrize("query", ["list", "iterator", "iterator&length"])
def test_gzip_compresses_for_clients_that_take_it(routed: Routed, query: str) -> None:
    site = routed("route-run = gzip:", app=pieces)
    head, body = split(site.ask(f"/?{query}&tag", "Accept-Encoding: br, gzip"))
    assert "\r\nContent-Encoding: gzip" in head
    assert "\r\nVary: Accept-Encoding" in head
    assert '\r\nETag: W/"strong"' in head
    assert gzip.decompress(body) == b"hello world"
    head, body = split(site.ask(f"/?{query}"))
    assert "Content-Encoding" not in head
    assert "\r\nVary: Accept-Encoding" in head
    assert body == b"hello world"


def test_gzip_leaves_encoded_and_bodiless_responses_alone(routed: Routed) -> None:
    site = routed("route-run = gzip:", app=pieces)
    head, body = split(site.ask("/?encoded", "Accept-Encoding: gzip"))
    assert "\r\nContent-Encoding: br" in head
    assert body == b"hello world"
    head, body = split(site.ask("/?list", "Accept-Encoding: gzip", method="HEAD"))
    assert "Content-Encoding" not in head
    assert body == b""


def test_transformations_follow_each_other(routed: Routed) -> None:
    site = routed("route-run = toupper:", "route-run = gzip:", app=pieces)
    _, body = split(site.ask("/?list", "Accept-Encoding: gzip"))
    assert gzip.decompress(body) == b"HELLO WORLD"


def test_a_body_can_be_a_template(routed: Routed) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "14")])
        return ["é ${PATH_INFO} $".encode()]

    head, body = split(routed("route-run = template:", app=app).ask("/where"))
    assert body == "é /where $".encode()
    assert f"Content-Length: {len(body)}" in head


def test_a_body_can_be_kept_in_a_file(routed: Routed, tmp_path: Path) -> None:
    site = routed(f"route = ^/(.+) tofile:filename={tmp_path}/$1.txt", app=pieces)
    _, body = split(site.ask("/kept"))
    assert body == b"hello world"
    assert (tmp_path / "kept.txt").read_bytes() == b"hello world"
    site.ask("/no/such/directory")
    assert "tofile: cannot write" in site.log[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


class MemoryCache:
    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.seconds: dict[bytes, int] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def update(self, key: bytes, value: bytes, seconds: int = 0) -> bool:
        self.values[key] = value
        self.seconds[key] = seconds
        return True


def test_responses_are_stored_and_served_by_a_cache(routed: Routed) -> None:
    cache = MemoryCache()
    site = routed(
        "route = ^/ cache:key=${REQUEST_URI},name=pages,content_type=text/x",
        "route = ^/ cachestore:key=${REQUEST_URI},name=pages,expires=10",
        app=pieces,
        cache=lambda name: cache if name == "pages" else None,
    )
    assert split(site.ask("/a"))[1] == b"hello world"
    assert cache.values == {b"/a": b"hello world"}
    assert cache.seconds == {b"/a": 10}
    cache.values[b"/a"] = b"from the cache"
    head, body = split(site.ask("/a"))
    assert body == b"from the cache"
    assert "\r\nContent-Type: text/x" in head
    site.ask("/b?gone")
    site.ask("/c", method="POST", body="x")
    site.ask("/d", method="HEAD")
    assert list(cache.values) == [b"/a"]


def test_values_of_a_cache_are_variables_and_conditions(routed: Routed) -> None:
    cache = MemoryCache()
    site = routed(
        "route = ^/set cacheset:key=k,value=$0,expires=5",
        "route-if = incache:key=k addvar:BAR=yes",
        "route = ^/ cachevar:key=k,var=FOO",
        cache=lambda name: cache,
    )
    assert "FOO=None BAR=None" in site.ask("/")
    assert "FOO='/set' BAR='yes'" in site.ask("/set")
    assert "FOO='/set' BAR='yes'" in site.ask("/")


def test_files_pass_through_transformations(routed: Routed, tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    path.write_bytes(b"x" * 200_000)
    site = routed("route-run = gzip:", f"route-run = static:{path}")
    head, body = split(site.ask("/", "Accept-Encoding: gzip"))
    assert "\r\nContent-Encoding: gzip" in head
    assert gzip.decompress(body) == b"x" * 200_000


def test_responses_are_compressed_if_they_ask_for_it(routed: Routed) -> None:
    site = routed(app=pieces)
    site.server.site.stages = (compress_marked,)
    head, body = split(site.ask("/?marked", "Accept-Encoding: gzip"))
    assert "\r\nContent-Encoding: gzip" in head
    assert gzip.decompress(body) == b"hello world"
    for query, field in (("marked", "Accept: x"), ("", "Accept-Encoding: gzip")):
        head, body = split(site.ask(f"/?{query}", field))
        assert "Encoding: gzip" not in head
        assert body == b"hello world"
