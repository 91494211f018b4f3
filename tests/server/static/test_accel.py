"""Files that the application names in its response."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.options import Offload, Static
from geuwsgi.server.exchange import Exchange
from geuwsgi.server.static.accel import NamedFiles
from geuwsgi.server.static.build import file_service


class AnsweringExchange:
    """A response of an application on its way through the filters."""

    def __init__(self, headers: list[tuple[str, str]], **fields: str) -> None:
        self.environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/download",
            **{f"HTTP_{name.upper()}": value for name, value in fields.items()},
        }
        self.status = "200 OK"
        self.headers = headers
        self.replaceable = False
        self.complete = False
        self.body = b""

    def start_response(self, status: str, headers: list[tuple[str, str]], /) -> None:
        assert self.replaceable
        self.status, self.headers = status, headers

    def write(self, body: bytes, /) -> None:
        self.body += body

    def send_file(self, fd: int, offset: int, count: int, /) -> None:
        self.body += os.pread(fd, count, offset)

    def finish(self) -> None:
        self.complete = True

    def named(self, name: str) -> str | None:
        return dict(self.headers).get(name)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "a b.txt").write_bytes(b"0123456789")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "private" / "out").symlink_to("../secret.txt")
    return tmp_path


def filtered(site: Path, header: tuple[str, str], **fields: str) -> AnsweringExchange:
    offload = Offload(
        x_sendfile=(str(site / "private"),),
        x_accel_redirect=(f"/internal={site / 'private'}",),
    )
    exchange = AnsweringExchange(
        [("Content-Disposition", "attachment"), ("Content-Length", "3"), header],
        **fields,
    )
    NamedFiles(file_service(Static(), offload), offload)(cast(Exchange, exchange))
    return exchange


def test_the_named_file_is_sent_with_what_the_application_said(site: Path) -> None:
    path = site / "private" / "a b.txt"
    for header in (
        ("X-Sendfile", str(path)),
        ("x-accel-redirect", "/internal/a%20b.txt"),
        ("X-Accel-Redirect", "/internal/a b.txt"),
    ):
        exchange = filtered(site, header)
        assert exchange.complete
        assert exchange.body == b"0123456789"
        assert exchange.named("Content-Disposition") == "attachment"
        assert exchange.named("Content-Type") == "text/plain"
        assert exchange.named("Content-Length") == "10"
        assert exchange.named(header[0]) is None


def test_ranges_and_conditions_are_those_of_the_file(site: Path) -> None:
    header = ("X-Accel-Redirect", "/internal/a b.txt")
    partial = filtered(site, header, range="bytes=2-3")
    assert (partial.status, partial.body) == ("206 Partial Content", b"23")
    etag = partial.named("ETag")
    assert etag
    assert filtered(site, header, if_none_match=etag).status == "304 Not Modified"


@pytest.mark.parametrize(
    "header",
    [
        ("X-Sendfile", "{site}/secret.txt"),
        ("X-Sendfile", "{site}/private/../secret.txt"),
        ("X-Sendfile", "{site}/private/out"),
        ("X-Sendfile", "private/a b.txt"),
        ("X-Sendfile", ""),
        ("X-Accel-Redirect", "/internal/../secret.txt"),
        ("X-Accel-Redirect", "/internal/%2e%2e/secret.txt"),
        ("X-Accel-Redirect", "/internal/out"),
        ("X-Accel-Redirect", "/internal/missing"),
        ("X-Accel-Redirect", "/other/a b.txt"),
        ("X-Accel-Redirect", "/internal/a b.txt%00"),
    ],
)
def test_what_may_not_be_sent_is_not_found(site: Path, header: tuple[str, str]) -> None:
    exchange = filtered(site, (header[0], header[1].format(site=site)))
    assert exchange.status == "404 Not Found"
    assert b"secret" not in exchange.body


def test_other_responses_pass(site: Path) -> None:
    exchange = filtered(site, ("X-Other", "/internal/a b.txt"))
    assert not exchange.complete
    assert exchange.named("Content-Length") == "3"


def test_without_options_the_fields_go_to_the_server_in_front() -> None:
    offload = Offload()
    assert not NamedFiles(file_service(Static(), offload), offload)


def test_a_map_without_directory_is_refused() -> None:
    offload = Offload(x_accel_redirect=("/internal",))
    with pytest.raises(ConfigError, match="x-accel-redirect needs"):
        NamedFiles(file_service(Static(), offload), offload)
