"""Files that tell how far uploads are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import pytest

from geuwsgi.server.uploadprogress import UploadProgress

Routed = Callable[..., Any]

ID = "01234567-89ab-cdef-0123-456789ABCDEF"
#: A request is not begun before as much of its body is there.
BEGINNING = 70_000


def take_all(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Read the body and answer with its length."""
    length = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(length).encode()]


def site_of(routed: Routed, directory: Path) -> Any:
    site = routed(app=take_all)
    site.server.site.stages = (UploadProgress(str(directory)),)
    return site


def wait_until(happened: Callable[[], object]) -> None:
    with gevent.Timeout(5):
        while not happened():
            gevent.sleep(0.002)


@pytest.mark.parametrize(
    "query", [f"X-Progress-ID={ID}", f"a=1&X-Progress-ID={ID}&b=2"]
)
def test_a_file_tells_how_far_an_upload_is(
    routed: Routed, tmp_path: Path, query: str
) -> None:
    site = site_of(routed, tmp_path)
    file = tmp_path / f"{ID}.js"

    def received() -> int:
        try:
            told = json.loads(file.read_text())
        except (OSError, ValueError):
            return -1
        assert told["state"] == "uploading"
        assert told["size"] == 300_000
        return int(told["received"])

    with gevent.socket.create_connection(site.address, timeout=5) as client:
        client.sendall(
            f"POST /?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            "Content-Length: 300000\r\n\r\n".encode()
            + b"x" * BEGINNING
        )
        wait_until(lambda: received() == BEGINNING)
        client.sendall(b"y" * 100_000)
        wait_until(lambda: received() == BEGINNING + 100_000)
        client.sendall(b"z" * (200_000 - BEGINNING))
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.endswith(b"\r\n\r\n300000")
    wait_until(lambda: not file.exists())


def test_a_client_that_goes_away_leaves_no_file(routed: Routed, tmp_path: Path) -> None:
    site = site_of(routed, tmp_path)
    with gevent.socket.create_connection(site.address, timeout=5) as client:
        client.sendall(
            f"POST /?X-Progress-ID={ID} HTTP/1.1\r\nHost: x\r\n"
            "Content-Length: 300000\r\n\r\n".encode()
            + b"x" * BEGINNING
        )
        wait_until(lambda: list(tmp_path.iterdir()))
    wait_until(lambda: not list(tmp_path.iterdir()))


@pytest.mark.parametrize(
    "query",
    [
        "X-Progress-ID=../../etc/passwd",
        "X-Progress-ID=01234567-89ab-cdef-0123-456789abcde",
        f"X-Progress-ID={ID}0",
        f"X-Progress-ID={ID}/../x",
        "X-Progress-ID=",
        "",
    ],
)
def test_only_a_uuid_is_a_file_name(routed: Routed, tmp_path: Path, query: str) -> None:
    site = site_of(routed, tmp_path)
    with gevent.socket.create_connection(site.address, timeout=5) as client:
        client.sendall(
            f"POST /?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            "Content-Length: 100000\r\n\r\n".encode()
            + b"x" * BEGINNING
        )
        wait_until(lambda: site.server.site.cores.holders)
        assert list(tmp_path.iterdir()) == []
        client.sendall(b"x" * (100_000 - BEGINNING))
        assert client.recv(15) == b"HTTP/1.1 200 OK"


def test_a_directory_that_cannot_be_written_costs_a_line(
    routed: Routed, tmp_path: Path
) -> None:
    site = site_of(routed, tmp_path / "missing")
    answer = site.ask(f"/?X-Progress-ID={ID}", method="POST", body="x" * 100_000)
    assert answer.endswith("100000")
